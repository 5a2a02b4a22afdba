"""What is left of what was deleted: video files that are still to go, and which stories are not to come back."""

import sqlalchemy as sa

from service.ledger.tables import UtcTime, metadata

discarded_files = sa.Table(
    "discarded_files",
    metadata,
    sa.Column("prefix", sa.Text, primary_key=True, comment="where they are in the video store"),
    sa.Column("discarded_at", UtcTime, nullable=False),
    sa.Column("cleared_at", UtcTime, comment="when the store had none of them any more"),
)

forgotten_stories = sa.Table(
    "forgotten_stories",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True, comment="SHA-256 of the Story API's id, in hex"),
    sa.Column("forgotten_at", UtcTime, nullable=False),
)
