"""The table of questions to people."""

import sqlalchemy as sa

from service.ledger.tables import Key, UtcTime, metadata

approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("story", Key, sa.ForeignKey("stories.id", ondelete="CASCADE"), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False, comment="who is asked"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("asked_at", UtcTime, nullable=False),
    sa.Column("remind_at", UtcTime, comment="NULL: never, or done"),
    sa.Column("reminded_at", UtcTime),
    sa.Column("expires_at", UtcTime, comment="NULL: never"),
    sa.Column("decided_by", sa.Text),
    sa.Column("decided_through", sa.Text),
    sa.Column("decided_at", UtcTime),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    sa.Column(
        "late_clicks", sa.Integer, nullable=False, server_default="0", comment="answers after the first"
    ),
    sa.UniqueConstraint("story", "revision", "route", name="uq_approvals_story_revision_route"),
    sa.Index("ix_approvals_state", "state", "id"),
)
