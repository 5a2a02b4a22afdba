"""The tables of tellings: which notices one destination is told in one message."""

import sqlalchemy as sa

from service.ledger.tables import Key, UtcTime, metadata

_OPEN = sa.text("frozen_at IS NULL")

tellings = sa.Table(
    "tellings",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("step", Key, sa.ForeignKey("steps.id", ondelete="CASCADE"), comment="the step that tells it"),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("group", sa.Text, nullable=False, comment="notices of one group are told together"),
    sa.Column("joined", sa.Integer, nullable=False, server_default="0", comment="notices that came to it"),
    sa.Column("due_at", UtcTime, nullable=False, comment="when it may be told"),
    sa.Column("frozen_at", UtcTime, comment="when its message was made; none joins from then on"),
    sa.Column("passed_on_at", UtcTime, comment="when the fallback was asked to tell it, too"),
    sa.Index(
        "uq_tellings_open", "destination", "group", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN
    ),
    sa.Index("ix_tellings_frozen", "destination", "group", "frozen_at"),
    sa.Index("ix_tellings_step", "step"),
)

telling_notices = sa.Table(
    "telling_notices",
    metadata,
    sa.Column("telling", Key, sa.ForeignKey("tellings.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("notice", Key, sa.ForeignKey("notices.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("remark", sa.Text, nullable=False, server_default="", comment="why it is told there"),
    sa.Index("ix_telling_notices_notice", "notice"),
)
