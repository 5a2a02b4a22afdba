"""The tables of replays of many stories at once, and of tests that people send from the dashboard."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from service.ledger.tables import Key, UtcTime, metadata

_Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

bulk_replays = sa.Table(
    "bulk_replays",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("choice", _Json, nullable=False, comment="which stories, frozen when it began"),
    sa.Column("state", sa.Text, nullable=False, comment="running, done, cancelled"),
    sa.Column("total", sa.Integer, nullable=False, comment="stories that were chosen when it began"),
    sa.Column(
        "exact", sa.Boolean, nullable=False, comment="false: at least so many, the rest was not counted"
    ),
    sa.Column(
        "cursor_at", UtcTime, comment="the time of the last story that was seen to, by the choice's clock"
    ),
    sa.Column("cursor", Key, nullable=False, server_default="0", comment="the last story that was seen to"),
    sa.Column("replayed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("skipped", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("moved_at", UtcTime, nullable=False, comment="when it last came further"),
    sa.Column("ended_at", UtcTime),
    sa.Index("ix_bulk_replays_state", "state"),
)

bulk_replayed = sa.Table(
    "bulk_replayed",
    metadata,
    sa.Column(
        "bulk", Key, sa.ForeignKey("bulk_replays.id", ondelete="CASCADE"), primary_key=True, nullable=False
    ),
    sa.Column(
        "story", Key, sa.ForeignKey("stories.id", ondelete="CASCADE"), primary_key=True, nullable=False
    ),
    sa.Column("skipped", sa.Boolean, nullable=False),
    sa.Column("detail", sa.Text, nullable=False, comment="where it goes, or why it was left out"),
    sa.Index("ix_bulk_replayed_story", "story"),
)

send_tests = sa.Table(
    "send_tests",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, comment="asked, running, sent, failed"),
    sa.Column("said", sa.Text, nullable=False, server_default="", comment="what the place answered"),
    sa.Column("url", sa.Text),
    sa.Column("asked_at", UtcTime, nullable=False),
    sa.Column("ended_at", UtcTime),
    sa.Index("ix_send_tests_destination_id", "destination", "id"),
)
