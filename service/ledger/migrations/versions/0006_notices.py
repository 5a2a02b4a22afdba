"""Notices that are grouped, resolved, held and gathered"""

import sqlalchemy as sa
from alembic import op

from service.ledger.tables import UtcTime

revision = "0006"
down_revision = "0005"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "troubles",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), server_default="", nullable=False, comment="what of its kind is meant"),
        sa.Column("notice", _ID, nullable=True, comment="how people were told that it began"),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("opened_at", UtcTime(), nullable=False),
        sa.Column("resolved_at", UtcTime(), nullable=True, comment="NULL while it lasts"),
        sa.ForeignKeyConstraint(
            ["notice"], ["notices.id"], name=op.f("fk_troubles_notice"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_troubles")),
    )
    op.create_index(
        "uq_troubles_open",
        "troubles",
        ["kind", "about"],
        unique=True,
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_index("ix_troubles_notice", "troubles", ["notice"], unique=False)
    op.create_table(
        "tellings",
        sa.Column("id", _ID, nullable=False),
        sa.Column("step", _ID, nullable=True, comment="the step that tells it"),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False, comment="notices of one group are told together"),
        sa.Column(
            "joined", sa.Integer(), server_default="0", nullable=False, comment="notices that came to it"
        ),
        sa.Column("due_at", UtcTime(), nullable=False, comment="when it may be told"),
        sa.Column(
            "frozen_at",
            UtcTime(),
            nullable=True,
            comment="when its message was made; none joins from then on",
        ),
        sa.Column(
            "passed_on_at", UtcTime(), nullable=True, comment="when the fallback was asked to tell it, too"
        ),
        sa.ForeignKeyConstraint(["step"], ["steps.id"], name=op.f("fk_tellings_step"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tellings")),
    )
    op.create_index(
        "uq_tellings_open",
        "tellings",
        ["destination", "group"],
        unique=True,
        sqlite_where=sa.text("frozen_at IS NULL"),
        postgresql_where=sa.text("frozen_at IS NULL"),
    )
    op.create_index("ix_tellings_frozen", "tellings", ["destination", "group", "frozen_at"], unique=False)
    op.create_index("ix_tellings_step", "tellings", ["step"], unique=False)
    op.create_table(
        "telling_notices",
        sa.Column("telling", _ID, nullable=False),
        sa.Column("notice", _ID, nullable=False),
        sa.Column("remark", sa.Text(), server_default="", nullable=False, comment="why it is told there"),
        sa.ForeignKeyConstraint(
            ["telling"], ["tellings.id"], name=op.f("fk_telling_notices_telling"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["notice"], ["notices.id"], name=op.f("fk_telling_notices_notice"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("telling", "notice", name=op.f("pk_telling_notices")),
    )
    op.create_index("ix_telling_notices_notice", "telling_notices", ["notice"], unique=False)
