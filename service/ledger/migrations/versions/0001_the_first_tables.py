"""The first tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from service.ledger.tables import UtcTime

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "heartbeats",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeats")),
    )
    op.create_table(
        "lanes",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("circuit", sa.Text(), server_default="closed", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True, comment="failing, refused, no_credit, disk_full"),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("opened_at", UtcTime(), nullable=True),
        sa.Column("closed_at", UtcTime(), nullable=True, comment="failures before then are forgiven"),
        sa.Column("probe_at", UtcTime(), nullable=True),
        sa.Column("probe_delay", sa.Float(), nullable=True, comment="seconds"),
        sa.Column(
            "not_before", UtcTime(), nullable=True, comment="the other side asked us to wait until then"
        ),
        sa.Column(
            "fingerprint", sa.Text(), nullable=True, comment="of the settings that it was opened under"
        ),
        sa.PrimaryKeyConstraint("kind", "destination", name=op.f("pk_lanes")),
    )
    op.create_table(
        "rates",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next_at", UtcTime(), nullable=False, comment="the first slot that is free"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rates")),
    )
    op.create_table(
        "stories",
        sa.Column("id", _ID, nullable=False),
        sa.Column("submission_id", sa.Text(), nullable=False),
        sa.Column("story_id", sa.Text(), nullable=True, comment="the Story API's id, NULL until it is known"),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column(
            "kind",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="idea, url, images, or '' if not ours",
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=True, comment="the pinned route, NULL: by each route's when"),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("request", _JSON, nullable=True, comment="the body that we sent"),
        sa.Column(
            "request_digest",
            sa.Text(),
            nullable=True,
            comment="SHA-256 of the body without its webhook address",
        ),
        sa.Column("labels", _JSON, nullable=True),
        sa.Column(
            "expected_seconds", sa.Integer(), nullable=True, comment="length of the video that was asked for"
        ),
        sa.Column("estimated_credits", sa.Integer(), nullable=True),
        sa.Column("used_credits", sa.Float(), nullable=True),
        sa.Column("api_status", sa.Text(), nullable=True),
        sa.Column("progress", sa.Integer(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True, comment="why it ended otherwise than settled"),
        sa.Column("snapshot", _JSON, nullable=True, comment="the Story API's last answer"),
        sa.Column(
            "video_identity",
            sa.Text(),
            nullable=True,
            comment="what tells one video of the story from another",
        ),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False, comment="0: no video yet"),
        sa.Column("webhook_at", UtcTime(), nullable=True, comment="the first webhook that was accepted"),
        sa.Column(
            "webhook_status", sa.Text(), nullable=True, comment="the status that the last webhook claimed"
        ),
        sa.Column("noticed_by", sa.Text(), nullable=True),
        sa.Column("polls", sa.Integer(), server_default="0", nullable=False),
        sa.Column("not_found", sa.Integer(), server_default="0", nullable=False),
        sa.Column("not_found_since", UtcTime(), nullable=True),
        sa.Column("next_poll_at", UtcTime(), nullable=True),
        sa.Column(
            "open_since",
            UtcTime(),
            nullable=True,
            comment="its days of patience count from here; NULL: from created_at",
        ),
        sa.Column("finished_at", UtcTime(), nullable=True, comment="when we first saw it finished"),
        sa.Column("settled_at", UtcTime(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stories")),
        sa.UniqueConstraint("story_id", name=op.f("uq_stories_story_id")),
        sa.UniqueConstraint("submission_id", name=op.f("uq_stories_submission_id")),
    )
    op.create_index("ix_stories_finished_at", "stories", ["finished_at"], unique=False)
    op.create_index(
        "ix_stories_next_poll_at",
        "stories",
        ["next_poll_at"],
        unique=False,
        sqlite_where=sa.text("next_poll_at IS NOT NULL"),
        postgresql_where=sa.text("next_poll_at IS NOT NULL"),
    )
    op.create_index("ix_stories_request_digest", "stories", ["request_digest"], unique=False)
    op.create_index("ix_stories_state_id", "stories", ["state", "id"], unique=False)
    op.create_table(
        "notices",
        sa.Column("id", _ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="the same trouble is told once"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("story", _ID, nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["story"], ["stories.id"], name=op.f("fk_notices_story"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("key", name=op.f("uq_notices_key")),
    )
    op.create_index("ix_notices_created_at", "notices", ["created_at"], unique=False)
    op.create_index("ix_notices_story", "notices", ["story"], unique=False)
    op.create_table(
        "receipts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("story", _ID, nullable=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False, comment="whose token: submission or route:<name>"),
        sa.Column("claimed_id", sa.Text(), nullable=True),
        sa.Column("claimed_status", sa.Text(), nullable=True),
        sa.Column("content_type", sa.Text(), server_default="", nullable=False),
        sa.Column("remote", sa.Text(), server_default="", nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["story"], ["stories.id"], name=op.f("fk_receipts_story"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipts")),
    )
    op.create_index("ix_receipts_story", "receipts", ["story"], unique=False)
    op.create_table(
        "videos",
        sa.Column("story", _ID, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False, comment="where its files are in the video store"),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("video_codec", sa.Text(), nullable=False),
        sa.Column("audio_codec", sa.Text(), nullable=True),
        sa.Column("has_poster", sa.Boolean(), nullable=False),
        sa.Column("has_captions", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["story"], ["stories.id"], name=op.f("fk_videos_story"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("story", "revision", name=op.f("pk_videos")),
    )
    op.create_table(
        "steps",
        sa.Column("id", _ID, nullable=False),
        sa.Column("story", _ID, nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), server_default="", nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("route", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column(
            "intent", sa.Text(), server_default="publish", nullable=False, comment="publish or withdraw"
        ),
        sa.Column(
            "instead_of",
            sa.Text(),
            nullable=True,
            comment="the destination that could not be given the story",
        ),
        sa.Column(
            "waiting_for",
            _JSON,
            nullable=True,
            comment="names of the destinations whose deliveries come first",
        ),
        sa.Column(
            "generation", sa.Integer(), server_default="0", nullable=False, comment="the fencing token"
        ),
        sa.Column(
            "attempts", sa.Integer(), server_default="0", nullable=False, comment="spent of the schedule"
        ),
        sa.Column(
            "waits", sa.Integer(), server_default="0", nullable=False, comment="answers of 'not ready yet'"
        ),
        sa.Column(
            "hints", sa.Integer(), server_default="0", nullable=False, comment="times somebody asked for it"
        ),
        sa.Column(
            "seen_hints", sa.Integer(), server_default="0", nullable=False, comment="hints at the last claim"
        ),
        sa.Column(
            "repeat", sa.Integer(), server_default="0", nullable=False, comment="wanted repeats (replay)"
        ),
        sa.Column("next_at", UtcTime(), nullable=True),
        sa.Column("queued_at", UtcTime(), nullable=True),
        sa.Column("lease_until", UtcTime(), nullable=True),
        sa.Column("reference", _JSON, nullable=True, comment="what the place told us of the publication"),
        sa.Column("url", sa.Text(), nullable=True, comment="where the publication can be seen"),
        sa.Column("remark", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["story"], ["stories.id"], name=op.f("fk_steps_story"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_steps")),
    )
    op.create_index(
        "ix_steps_busy",
        "steps",
        ["kind", "destination", "state"],
        unique=False,
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index(
        "ix_steps_pending",
        "steps",
        ["kind", "destination", "next_at"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "uq_steps_story_kind_destination_revision",
        "steps",
        ["story", "kind", "destination", "revision"],
        unique=True,
    )
    op.create_table(
        "attempts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("step", _ID, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False, comment="what the other side said"),
        sa.Column("started_at", UtcTime(), nullable=False),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["step"], ["steps.id"], name=op.f("fk_attempts_step"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
        sa.UniqueConstraint("step", "generation", name=op.f("uq_attempts_step_generation")),
    )
    op.create_index(
        "ix_attempts_kind_destination_started_at",
        "attempts",
        ["kind", "destination", "started_at"],
        unique=False,
    )
