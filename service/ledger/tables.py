"""The ledger's tables. Times are UTC; JSON columns hold what another side said, as it came."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from service.domain.states import BUSY_STEPS, Intent

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(sa.TypeDecorator[datetime]):
    """An aware datetime in UTC: timestamptz in PostgreSQL, text of one width (so that it sorts) in SQLite."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Takes the database's own type where it has one."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        """Turns the time into UTC; a naive one is a mistake of ours and raises ValueError."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the ledger takes aware times only")
        if dialect.name == "postgresql":
            return value
        return sortable(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002  SQLAlchemy's
        """Gives an aware time in UTC."""
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return datetime.fromisoformat(value)


def sortable(value: datetime) -> str:
    """An aware time as text of one width, as the ledger has it in SQLite; PostgreSQL reads it as well."""
    return value.astimezone(UTC).isoformat(timespec="microseconds")


Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def _in(column: str, values: Any) -> str:
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


stories = sa.Table(
    "stories",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("submission_id", sa.Text, nullable=False, unique=True),
    sa.Column("story_id", sa.Text, unique=True, comment="the Story API's id, NULL until it is known"),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column(
        "kind", sa.Text, nullable=False, server_default="", comment="idea, url, images, or '' if not ours"
    ),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("route", sa.Text, comment="the pinned route, NULL: by each route's when"),
    sa.Column("title", sa.Text, nullable=False, server_default=""),
    sa.Column("request", _Json, comment="the body that we sent"),
    sa.Column("request_digest", sa.Text, comment="SHA-256 of the body without its webhook address"),
    sa.Column("labels", _Json),
    sa.Column("expected_seconds", sa.Integer, comment="length of the video that was asked for"),
    sa.Column("estimated_credits", sa.Integer),
    sa.Column("used_credits", sa.Float),
    sa.Column("api_status", sa.Text),
    sa.Column("progress", sa.Integer),
    sa.Column("message", sa.Text, comment="why it ended otherwise than settled"),
    sa.Column("snapshot", _Json, comment="the Story API's last answer"),
    sa.Column("snapshot_cut_at", UtcTime, comment="since when only a stub of it is left"),
    sa.Column("video_identity", sa.Text, comment="what tells one video of the story from another"),
    sa.Column("revision", sa.Integer, nullable=False, server_default="0", comment="0: no video yet"),
    sa.Column("webhook_at", UtcTime, comment="the first webhook that was accepted"),
    sa.Column("webhook_status", sa.Text, comment="the status that the last webhook claimed"),
    sa.Column("noticed_by", sa.Text),
    sa.Column("polls", sa.Integer, nullable=False, server_default="0"),
    sa.Column("not_found", sa.Integer, nullable=False, server_default="0"),
    sa.Column("not_found_since", UtcTime),
    sa.Column("next_poll_at", UtcTime),
    sa.Column("open_since", UtcTime, comment="its days of patience count from here; NULL: from created_at"),
    sa.Column("finished_at", UtcTime, comment="when we first saw it finished"),
    sa.Column("settled_at", UtcTime),
    sa.Column("published_at", UtcTime, comment="last first publication, when it first settled"),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
    sa.Index(
        "ix_stories_next_poll_at",
        "next_poll_at",
        sqlite_where=sa.text("next_poll_at IS NOT NULL"),
        postgresql_where=sa.text("next_poll_at IS NOT NULL"),
    ),
    sa.Index("ix_stories_state_id", "state", "id"),
    sa.Index("ix_stories_request_digest", "request_digest"),
    sa.Index("ix_stories_created_at", "created_at", "state", "used_credits"),
    sa.Index(
        "ix_stories_route",
        "route",
        "id",
        sqlite_where=sa.text("route IS NOT NULL"),
        postgresql_where=sa.text("route IS NOT NULL"),
    ),
)

videos = sa.Table(
    "videos",
    metadata,
    sa.Column("story", Key, sa.ForeignKey("stories.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("prefix", sa.Text, nullable=False, comment="where its files are in the video store"),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("video_codec", sa.Text, nullable=False),
    sa.Column("audio_codec", sa.Text),
    sa.Column("has_poster", sa.Boolean, nullable=False),
    sa.Column("has_captions", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("removed_at", UtcTime, comment="since when its files count as gone"),
)

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, unique=True, comment="the same trouble is told once"),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("story", Key, sa.ForeignKey("stories.id", ondelete="CASCADE")),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Index("ix_notices_story", "story"),
    sa.Index("ix_notices_created_at", "created_at"),
)

steps = sa.Table(
    "steps",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("story", Key, sa.ForeignKey("stories.id", ondelete="CASCADE")),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False, server_default=""),
    sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
    sa.Column("route", sa.Text, nullable=False, server_default=""),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column(
        "intent", sa.Text, nullable=False, server_default=Intent.PUBLISH, comment="publish or withdraw"
    ),
    sa.Column("instead_of", sa.Text, comment="the destination that could not be given the story"),
    sa.Column("waiting_for", _Json, comment="names of the destinations whose deliveries come first"),
    sa.Column("generation", sa.Integer, nullable=False, server_default="0", comment="the fencing token"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0", comment="spent of the schedule"),
    sa.Column("waits", sa.Integer, nullable=False, server_default="0", comment="answers of 'not ready yet'"),
    sa.Column("hints", sa.Integer, nullable=False, server_default="0", comment="times somebody asked for it"),
    sa.Column(
        "seen_hints", sa.Integer, nullable=False, server_default="0", comment="hints at the last claim"
    ),
    sa.Column("repeat", sa.Integer, nullable=False, server_default="0", comment="wanted repeats (replay)"),
    sa.Column("next_at", UtcTime),
    sa.Column("queued_at", UtcTime),
    sa.Column("lease_until", UtcTime),
    sa.Column("reference", _Json, comment="what the place told us of the publication"),
    sa.Column("url", sa.Text, comment="where the publication can be seen"),
    sa.Column("remark", sa.Text),
    sa.Column("last_error", sa.Text),
    sa.Column("trace", sa.Text, comment="the request that it follows from, and where it is in its trace"),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("ended_at", UtcTime),
    sa.Column("asked_at", UtcTime, comment="when a person last wanted it anew"),
    sa.Column(
        "begun_at",
        UtcTime,
        comment="when its destination was first called for it; NULL: nothing of it can stand there",
    ),
    sa.Index("ix_steps_story", "story"),
    sa.Index(
        "uq_steps_story_kind_destination_revision",
        "story",
        "kind",
        "destination",
        "revision",
        unique=True,
    ),
    sa.Index(
        "ix_steps_pending",
        "kind",
        "destination",
        "next_at",
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    ),
    sa.Index(
        "ix_steps_dead",
        "destination",
        "story",
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    ),
    sa.Index(
        "ix_steps_busy",
        "kind",
        "destination",
        "state",
        sqlite_where=sa.text(_in("state", BUSY_STEPS)),
        postgresql_where=sa.text(_in("state", BUSY_STEPS)),
    ),
    sa.Index(
        "ix_steps_destination_story",
        "destination",
        "story",
        sqlite_where=sa.text("kind = 'deliver'"),
        postgresql_where=sa.text("kind = 'deliver'"),
    ),
    sa.Index(
        "ix_steps_route_story",
        "route",
        "story",
        sqlite_where=sa.text("kind = 'deliver'"),
        postgresql_where=sa.text("kind = 'deliver'"),
    ),
)

# Written out, not bound: a partial index serves only a query whose condition the planner can see.
is_pending: sa.ColumnElement[bool] = steps.c.state == sa.literal_column("'pending'")
is_dead: sa.ColumnElement[bool] = steps.c.state == sa.literal_column("'dead'")
is_busy: sa.ColumnElement[bool] = steps.c.state.in_([sa.literal_column(f"'{state}'") for state in BUSY_STEPS])

is_delivery: sa.ColumnElement[bool] = steps.c.kind == sa.literal_column("'deliver'")

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("step", Key, sa.ForeignKey("steps.id", ondelete="CASCADE"), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("intent", sa.Text, nullable=False, server_default=Intent.PUBLISH),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False, server_default="", comment="what the other side said"),
    sa.Column("started_at", UtcTime, nullable=False),
    sa.Column("ended_at", UtcTime),
    sa.UniqueConstraint("step", "generation"),
    sa.Index("ix_attempts_kind_destination_started_at", "kind", "destination", "started_at"),
)

receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("story", Key, sa.ForeignKey("stories.id", ondelete="SET NULL")),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("token", sa.Text, nullable=False, comment="whose token: submission or route:<name>"),
    sa.Column("claimed_id", sa.Text),
    sa.Column("claimed_status", sa.Text),
    sa.Column("content_type", sa.Text, nullable=False, server_default=""),
    sa.Column("remote", sa.Text, nullable=False, server_default=""),
    sa.Column(
        "request_id", sa.Text, nullable=False, server_default="", comment="as the log names the request"
    ),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("received_at", UtcTime, nullable=False),
    sa.Index("ix_receipts_story", "story"),
    sa.Index("ix_receipts_received_at", "received_at", "id"),
    sa.Index("ix_receipts_token_verdict", "token", "verdict", "received_at", "id"),
    # pattern_ops: the beginning of an id is looked up whatever the database's language
    sa.Index("ix_receipts_claimed_id", "claimed_id", postgresql_ops={"claimed_id": "text_pattern_ops"}),
)

lanes = sa.Table(
    "lanes",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("destination", sa.Text, primary_key=True),
    sa.Column(
        "circuit",
        sa.Text,
        nullable=False,
        server_default="closed",
    ),
    sa.Column("reason", sa.Text, comment="failing, refused, no_credit, disk_full"),
    sa.Column("message", sa.Text),
    sa.Column("opened_at", UtcTime),
    sa.Column("closed_at", UtcTime, comment="failures before then are forgiven"),
    sa.Column("probe_at", UtcTime),
    sa.Column("probe_delay", sa.Float, comment="seconds"),
    sa.Column("not_before", UtcTime, comment="the other side asked us to wait until then"),
    sa.Column("fingerprint", sa.Text, comment="of the settings that it was opened under"),
)

rates = sa.Table(
    "rates",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("next_at", UtcTime, nullable=False, comment="the first slot that is free"),
)

heartbeats = sa.Table(
    "heartbeats",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
)
