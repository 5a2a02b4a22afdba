"""Counts that stay when what they count is pruned"""

import sqlalchemy as sa
from alembic import op

from service.ledger.tables import UtcTime

revision = "0008"
down_revision = "0007"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _tables()
    _columns()
    _triggers(op.get_bind().dialect.name)
    _what_is_there()


def _tables() -> None:
    op.create_table(
        "tallies",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="what is counted"),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("destination", sa.Text(), server_default="", nullable=False),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
        sa.Column("value", sa.Float(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tallies")),
    )
    op.create_table(
        "totals",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False, comment="sum, or a histogram's bucket: its upper bound"),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "kind", "destination", "outcome", "part", name=op.f("pk_totals")),
    )
    op.create_table(
        "discarded_files",
        sa.Column("prefix", sa.Text(), nullable=False, comment="where they are in the video store"),
        sa.Column("discarded_at", UtcTime(), nullable=False),
        sa.Column("cleared_at", UtcTime(), nullable=True, comment="when the store had none of them any more"),
        sa.PrimaryKeyConstraint("prefix", name=op.f("pk_discarded_files")),
    )
    op.create_table(
        "forgotten_stories",
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the Story API's id, in hex"),
        sa.Column("forgotten_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_forgotten_stories")),
    )


def _columns() -> None:
    removed = "since when its files count as gone"
    op.add_column("videos", sa.Column("removed_at", UtcTime(), nullable=True, comment=removed))
    followed = "the request that it follows from, and where it is in its trace"
    op.add_column("steps", sa.Column("trace", sa.Text(), nullable=True, comment=followed))
    named = "as the log names the request"
    op.add_column(
        "receipts", sa.Column("request_id", sa.Text(), server_default="", nullable=False, comment=named)
    )
    op.create_index("ix_steps_story", "steps", ["story"], unique=False)


_ENDED = "('done', 'dead', 'cancelled')"
_SECONDS = {
    "sqlite": "coalesce(max(0, (julianday({until}) - julianday({since})) * 86400), 0)",
    "postgresql": "greatest(0, extract(epoch FROM {until} - {since}))",
}
"""Never NULL: a trigger that fails would undo what it counts."""

_FIELDS = "name, kind, destination, outcome, value"
_RULES = (
    # name, table, event, when, values
    ("receipt_comes", "receipts", "INSERT", "", "'receipts', NEW.verdict, '', '', 1"),
    ("notice_comes", "notices", "INSERT", "", "'notices', NEW.kind, '', '', 1"),
    ("video_comes", "videos", "INSERT", "", "'video_bytes', '', '', '', NEW.bytes"),
    (
        "attempt_ends",
        "attempts",
        "UPDATE OF outcome",
        "OLD.outcome = 'running' AND NEW.outcome <> 'running' AND NEW.ended_at IS NOT NULL",
        "'attempts', NEW.kind, NEW.destination, NEW.outcome, <NEW.started_at..NEW.ended_at>",
    ),
    ("step_comes_ended", "steps", "INSERT", f"NEW.state IN {_ENDED}", "+step NEW"),
    (
        "step_ends",
        "steps",
        "UPDATE OF state",
        f"NEW.state IN {_ENDED} AND NEW.state <> OLD.state",
        "+step NEW",
    ),
    (
        "step_goes_on",
        "steps",
        "UPDATE OF state",
        f"OLD.state IN {_ENDED} AND NEW.state <> OLD.state",
        "-step OLD",
    ),
    ("step_leaves", "steps", "DELETE", f"OLD.state IN {_ENDED}", "-step OLD"),
    ("story_comes", "stories", "INSERT", "", "'stories', NEW.state, '', '', 1"),
    (
        "story_enters",
        "stories",
        "UPDATE OF state",
        "NEW.state <> OLD.state",
        "'stories', NEW.state, '', '', 1",
    ),
    (
        "story_moves",
        "stories",
        "UPDATE OF state",
        "NEW.state <> OLD.state",
        "'stories', OLD.state, '', '', -1",
    ),
    ("story_leaves", "stories", "DELETE", "", "'stories', OLD.state, '', '', -1"),
    (
        "story_finishes",
        "stories",
        "UPDATE OF finished_at",
        "OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL",
        "'finished', NEW.origin, '', coalesce(NEW.noticed_by, ''), 1",
    ),
    (
        "story_is_told_late",
        "stories",
        "UPDATE OF webhook_at",
        "OLD.webhook_at IS NULL AND NEW.webhook_at > OLD.finished_at AND NEW.origin = 'submitted'",
        "'late_webhooks', '', '', '', 1",
    ),
    (
        "story_settles",
        "stories",
        "UPDATE OF settled_at",
        "OLD.settled_at IS NULL AND NEW.settled_at IS NOT NULL AND NEW.finished_at IS NOT NULL "
        "AND NEW.revision = 1 AND NEW.open_since IS NULL",
        "'published', coalesce(NEW.noticed_by, ''), '', '', "
        "<CASE WHEN NEW.webhook_at < NEW.finished_at THEN NEW.webhook_at ELSE NEW.finished_at END..NEW.settled_at>",
    ),
    (
        "story_is_charged",
        "stories",
        "UPDATE OF used_credits",
        "NEW.used_credits > coalesce(OLD.used_credits, 0)",
        "'credits', '', '', '', NEW.used_credits - coalesce(OLD.used_credits, 0)",
    ),
)


def _triggers(dialect: str) -> None:
    for name, table, event, when, written in _RULES:
        values = _values(written, dialect)
        condition = f" WHEN ({when})" if when else ""
        insert = f"INSERT INTO tallies ({_FIELDS}) VALUES ({values});"
        if dialect == "postgresql":
            result = "OLD" if event == "DELETE" else "NEW"
            op.execute(
                f"CREATE FUNCTION tally_{name}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {insert} RETURN {result}; END $$"
            )
            body = f"EXECUTE FUNCTION tally_{name}()"
        else:
            body = f"BEGIN {insert} END"
        op.execute(f"CREATE TRIGGER tally_{name} AFTER {event} ON {table} FOR EACH ROW{condition} {body}")


def _values(written: str, dialect: str) -> str:
    if written[0] in "+-":
        sign, row = written[0], written[-3:]
        return f"'steps', {row}.kind, {row}.destination, {row}.state, {sign}1"
    before, mark, span = written.partition("<")
    if not mark or ".." not in span:
        return written
    since, _, until = span.rstrip(">").partition("..")
    return before + _SECONDS[dialect].format(since=f"({since})", until=f"({until})")


def _what_is_there() -> None:
    """Counters begin at nothing; what tells how much there is now begins with what there is."""
    op.execute(
        f"INSERT INTO tallies ({_FIELDS}) SELECT 'stories', state, '', '', count(*) FROM stories GROUP BY state"
    )
    op.execute(
        f"INSERT INTO tallies ({_FIELDS}) SELECT 'steps', kind, destination, state, count(*) FROM steps "
        f"WHERE state IN {_ENDED} GROUP BY kind, destination, state"
    )
