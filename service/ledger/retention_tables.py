"""The table of video files that nothing points to any more and that are to be deleted."""

import sqlalchemy as sa

from service.ledger.tables import UtcTime, metadata

discarded_files = sa.Table(
    "discarded_files",
    metadata,
    sa.Column("prefix", sa.Text, primary_key=True, comment="where they are in the video store"),
    sa.Column("discarded_at", UtcTime, nullable=False),
    sa.Column("cleared_at", UtcTime, comment="when the store had none of them any more"),
)
