"""How far the day's pruning has come, and which answers were cut"""

import sqlalchemy as sa
from alembic import op

from service.ledger.tables import UtcTime

revision = "0010"
down_revision = "0009"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pruning_places",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False, comment="1: there is one row"),
        sa.Column("kind", sa.Text(), nullable=False, comment="what is being pruned"),
        sa.Column("after", _ID, nullable=False, comment="the key of the last row that was looked at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pruning_places")),
    )
    op.create_index(
        "ix_discarded_files_left",
        "discarded_files",
        ["discarded_at"],
        unique=False,
        sqlite_where=sa.text("cleared_at IS NULL"),
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.add_column(
        "stories",
        sa.Column(
            "snapshot_cut_at", UtcTime(), nullable=True, comment="since when only a stub of it is left"
        ),
    )
    op.execute(
        "UPDATE stories SET snapshot_cut_at = updated_at "
        "WHERE CAST(snapshot AS TEXT) LIKE '%storyrelay_pruned_at%'"
    )
