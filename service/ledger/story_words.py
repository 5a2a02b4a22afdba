"""Finds stories by words of their title and idea, and by their ids.

SQLite: FTS5 (`story_words`, kept by triggers). PostgreSQL: an index over `to_tsvector('simple', …)`. Both are part
of the migrations alone. A word finds every word that begins with it; all words have to be there.
"""

import re

import sqlalchemy as sa

from service.ledger.tables import stories

MOST_WORDS = 8
_WORD = re.compile(r"\w+")
_words = sa.table("story_words", sa.column("rowid", sa.BigInteger))
_text = sa.func.to_tsvector(
    sa.literal_column("'simple'"),
    sa.literal_column("(title || ' ' || coalesce(request ->> 'idea', ''))"),
)


def matching(
    tx: sa.Connection, typed: str, low: int | None = None, high: int | None = None
) -> sa.Select[tuple[int]]:
    """A query of the keys (`id`) of stories that what was typed means, between these keys.

    An id that is there means its story alone. Nothing that is typed is taken for the search's own language.
    """
    name = typed.strip()
    named = sa.select(stories.c.id).where(sa.or_(stories.c.story_id == name, stories.c.submission_id == name))
    if tx.execute(named).first() is not None:
        return named
    words = _WORD.findall(name)[:MOST_WORDS]
    return _by_words(tx, words, low, high) if words else sa.select(stories.c.id).where(sa.false())


def _by_words(
    tx: sa.Connection, words: list[str], low: int | None, high: int | None
) -> sa.Select[tuple[int]]:
    if tx.dialect.name == "postgresql":
        asked = " & ".join(f"{word}:*" for word in words)
        found = sa.select(stories.c.id).where(
            _text.op("@@")(sa.func.to_tsquery(sa.literal_column("'simple'"), asked))
        )
        column: sa.ColumnElement[int] = stories.c.id
    else:
        asked = " ".join(f'"{word}"*' for word in words)
        column = _words.c.rowid
        found = sa.select(column.label("id")).where(sa.literal_column("story_words").op("MATCH")(asked))
    if low is not None:
        found = found.where(column >= low)
    if high is not None:
        found = found.where(column <= high)
    return found
