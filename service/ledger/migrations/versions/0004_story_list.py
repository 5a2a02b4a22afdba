"""What the list of stories is found by"""

import sqlalchemy as sa
from alembic import op

from service.ledger.tables import UtcTime

revision = "0004"
down_revision = "0003"

_DELIVERS = "kind = 'deliver'"


_FIRST_PUBLISHED = """
UPDATE stories SET published_at = (
    SELECT max(first) FROM (
        SELECT min(attempts.ended_at) AS first FROM steps JOIN attempts ON attempts.step = steps.id
        WHERE steps.story = stories.id AND steps.kind = 'deliver' AND attempts.outcome = 'done'
        GROUP BY steps.id
    ) AS each_step
) WHERE settled_at IS NOT NULL
"""


def upgrade() -> None:
    op.add_column("attempts", sa.Column("intent", sa.Text(), server_default="publish", nullable=False))
    last = "last first publication, when it first settled"
    op.add_column("stories", sa.Column("published_at", UtcTime(), nullable=True, comment=last))
    op.execute(_FIRST_PUBLISHED)
    op.drop_index("ix_stories_finished_at", "stories")
    op.create_index("ix_stories_created_at", "stories", ["created_at", "state", "used_credits"], unique=False)
    op.create_index(
        "ix_stories_route",
        "stories",
        ["route", "id"],
        unique=False,
        sqlite_where=sa.text("route IS NOT NULL"),
        postgresql_where=sa.text("route IS NOT NULL"),
    )
    for column in ("destination", "route"):
        op.create_index(
            f"ix_steps_{column}_story",
            "steps",
            [column, "story"],
            unique=False,
            sqlite_where=sa.text(_DELIVERS),
            postgresql_where=sa.text(_DELIVERS),
        )
    {"sqlite": _in_sqlite, "postgresql": _in_postgresql}[op.get_bind().dialect.name]()


def _in_sqlite() -> None:
    """An index that answers the overview alone, for rows are long; most webhooks come before the story is in it."""
    op.create_index(
        "ix_stories_finished_at",
        "stories",
        ["finished_at", "origin", "webhook_at", "published_at"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NOT NULL"),
    )
    _words_in_sqlite()


def _in_postgresql() -> None:
    """No index has what a webhook changes: then the row's new version needs no new entries in all the indexes.

    It needs room beside the old version for that.
    """
    op.create_index("ix_stories_finished_at", "stories", ["finished_at"], unique=False)
    op.execute("ALTER TABLE stories SET (fillfactor = 80)")
    _words_in_postgresql()


def _words_in_postgresql() -> None:
    op.execute(
        "CREATE INDEX ix_stories_words ON stories USING gin "
        "(to_tsvector('simple', title || ' ' || coalesce(request ->> 'idea', '')))"
    )


_IDEA = "coalesce(json_extract({row}.request, '$.idea'), '')"


def _words_in_sqlite() -> None:
    """A word index that keeps no text of its own; it is told the old text to forget it."""
    op.execute(
        "CREATE VIRTUAL TABLE story_words USING fts5(title, idea, content='', tokenize='unicode61 remove_diacritics 2')"
    )
    old, new = _IDEA.format(row="OLD"), _IDEA.format(row="NEW")
    forget = f"INSERT INTO story_words(story_words, rowid, title, idea) VALUES ('delete', OLD.id, OLD.title, {old});"
    learn = f"INSERT INTO story_words(rowid, title, idea) VALUES (NEW.id, NEW.title, {new});"
    had, has = f"(OLD.title <> '' OR {old} <> '')", f"(NEW.title <> '' OR {new} <> '')"
    changed = f"(OLD.title <> NEW.title OR {old} <> {new})"
    for name, event, when, then in (
        ("comes", "INSERT", has, learn),
        ("leaves", "DELETE", had, forget),
        ("loses", "UPDATE OF title, request", f"{had} AND {changed}", forget),
        ("gains", "UPDATE OF title, request", f"{has} AND {changed}", learn),
    ):
        # the order of two triggers on one event is not promised, so the index forgets before and learns after
        moment = "BEFORE" if then is forget else "AFTER"
        op.execute(
            f"CREATE TRIGGER story_words_{name} {moment} {event} ON stories WHEN {when} BEGIN {then} END"
        )
    known = _IDEA.format(row="stories")
    op.execute(
        "INSERT INTO story_words(rowid, title, idea) "
        f"SELECT id, title, {known} FROM stories WHERE title <> '' OR {known} <> ''"
    )
