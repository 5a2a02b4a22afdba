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
