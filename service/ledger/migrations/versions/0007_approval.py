"""Decisions that people are asked for"""

import sqlalchemy as sa
from alembic import op

from service.ledger.tables import UtcTime

revision = "0007"
down_revision = "0006"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", _ID, nullable=False),
        sa.Column("story", _ID, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False, comment="who is asked"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_at", UtcTime(), nullable=False),
        sa.Column("remind_at", UtcTime(), nullable=True, comment="NULL: never, or done"),
        sa.Column("reminded_at", UtcTime(), nullable=True),
        sa.Column("expires_at", UtcTime(), nullable=True, comment="NULL: never"),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_through", sa.Text(), nullable=True),
        sa.Column("decided_at", UtcTime(), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "late_clicks", sa.Integer(), server_default="0", nullable=False, comment="answers after the first"
        ),
        sa.ForeignKeyConstraint(
            ["story"], ["stories.id"], name=op.f("fk_approvals_story"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
        sa.UniqueConstraint("story", "revision", "route", name="uq_approvals_story_revision_route"),
    )
    op.create_index("ix_approvals_state", "approvals", ["state", "id"], unique=False)
