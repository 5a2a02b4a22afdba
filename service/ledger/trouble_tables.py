"""The table of troubles that last: since when, and until when."""

import sqlalchemy as sa

from service.ledger.tables import Key, UtcTime, metadata

_OPEN = sa.text("resolved_at IS NULL")

troubles = sa.Table(
    "troubles",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False, server_default="", comment="what of its kind is meant"),
    sa.Column(
        "notice",
        Key,
        sa.ForeignKey("notices.id", ondelete="SET NULL"),
        comment="how people were told that it began",
    ),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("opened_at", UtcTime, nullable=False),
    sa.Column("resolved_at", UtcTime, comment="NULL while it lasts"),
    sa.Index("uq_troubles_open", "kind", "about", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    sa.Index("ix_troubles_notice", "notice"),
)
