"""Replays of many stories at once, tests sent by people, and what finds receipts among a million"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from service.ledger.tables import UtcTime

revision = "0009"
down_revision = "0008"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "bulk_replays",
        sa.Column("id", _ID, nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("choice", _JSON, nullable=False, comment="which stories, frozen when it began"),
        sa.Column("state", sa.Text(), nullable=False, comment="running, done, cancelled"),
        sa.Column("total", sa.Integer(), nullable=False, comment="stories that were chosen when it began"),
        sa.Column(
            "exact", sa.Boolean(), nullable=False, comment="false: at least so many, the rest was not counted"
        ),
        sa.Column(
            "cursor_at",
            UtcTime(),
            nullable=True,
            comment="the time of the last story that was seen to, by the choice's clock",
        ),
        sa.Column(
            "cursor", _ID, server_default="0", nullable=False, comment="the last story that was seen to"
        ),
        sa.Column("replayed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("skipped", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("moved_at", UtcTime(), nullable=False, comment="when it last came further"),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_replays")),
    )
    op.create_index("ix_bulk_replays_state", "bulk_replays", ["state"], unique=False)
    op.create_table(
        "bulk_replayed",
        sa.Column("bulk", _ID, nullable=False),
        sa.Column("story", _ID, nullable=False),
        sa.Column("skipped", sa.Boolean(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False, comment="where it goes, or why it was left out"),
        sa.ForeignKeyConstraint(
            ["bulk"], ["bulk_replays.id"], name=op.f("fk_bulk_replayed_bulk"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["story"], ["stories.id"], name=op.f("fk_bulk_replayed_story"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("bulk", "story", name=op.f("pk_bulk_replayed")),
    )
    op.create_index("ix_bulk_replayed_story", "bulk_replayed", ["story"], unique=False)
    op.create_table(
        "send_tests",
        sa.Column("id", _ID, nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="asked, running, sent, failed"),
        sa.Column("said", sa.Text(), server_default="", nullable=False, comment="what the place answered"),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("asked_at", UtcTime(), nullable=False),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_send_tests")),
    )
    op.create_index("ix_send_tests_destination_id", "send_tests", ["destination", "id"], unique=False)
    op.create_index("ix_receipts_received_at", "receipts", ["received_at", "id"], unique=False)
    op.create_index(
        "ix_receipts_token_verdict", "receipts", ["token", "verdict", "received_at", "id"], unique=False
    )
    op.create_index(
        "ix_receipts_claimed_id",
        "receipts",
        ["claimed_id"],
        unique=False,
        postgresql_ops={"claimed_id": "text_pattern_ops"},
    )
    op.create_index(
        "ix_steps_dead",
        "steps",
        ["destination", "story"],
        unique=False,
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
