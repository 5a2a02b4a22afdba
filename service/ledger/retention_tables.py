"""What is left of what was deleted: video files that are still to go, and which stories are not to come back."""

import sqlalchemy as sa

from service.ledger.tables import Key, UtcTime, metadata

discarded_files = sa.Table(
    "discarded_files",
    metadata,
    sa.Column("prefix", sa.Text, primary_key=True, comment="where they are in the video store"),
    sa.Column("discarded_at", UtcTime, nullable=False),
    sa.Column("cleared_at", UtcTime, comment="when the store had none of them any more"),
    sa.Index(
        "ix_discarded_files_left",
        "discarded_at",
        sqlite_where=sa.text("cleared_at IS NULL"),
        postgresql_where=sa.text("cleared_at IS NULL"),
    ),
)

pruning_places = sa.Table(
    "pruning_places",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False, comment="1: there is one row"),
    sa.Column("kind", sa.Text, nullable=False, comment="what is being pruned"),
    sa.Column("after", Key, nullable=False, comment="the key of the last row that was looked at"),
)

forgotten_stories = sa.Table(
    "forgotten_stories",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True, comment="SHA-256 of the Story API's id, in hex"),
    sa.Column("forgotten_at", UtcTime, nullable=False),
)
