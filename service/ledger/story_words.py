"""Finds stories by words of their title and idea, and by their ids.

SQLite: FTS5 (`story_words`, kept by triggers). PostgreSQL: an index over `to_tsvector('simple', …)`. Both are part
of the migrations alone. A word finds every word that begins with it; all words have to be there.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from service.ledger.tables import stories

MOST_WORDS = 8
_WORD = re.compile(r"\w+")
_words = sa.table("story_words", sa.column("rowid", sa.BigInteger))
_TEXT = "title || ' ' || coalesce(request ->> 'idea', '')"

NEWEST, OFTEN = 1000, 10
"""What PostgreSQL finds so often among so many of the newest, it soon meets again on its way through the others."""


def matching(tx: sa.Connection, typed: str) -> sa.Select[Any]:
    """A query of the keys of the stories that what was typed means.

    An id that is there means its story alone. Nothing that is typed is taken for the search's own language.
    """
    named, words = _named(typed), _words_of(typed)
    if not words or tx.execute(named).first() is not None:
        return named
    if tx.dialect.name == "sqlite":
        return _found(words)
    # the planner can't tell how rare words are together, or that only old stories have them, and reads them all
    if _often(tx, words):
        return sa.select(stories.c.id).where(_has(words, indexed=False))
    by_index = sa.select(stories.c.id).where(_has(words)).cte("by_index").prefix_with("MATERIALIZED")
    return sa.select(by_index.c.id)


def holds(tx: sa.Connection, typed: str, low: int, high: int) -> sa.ColumnElement[bool]:
    """Whether a story between these keys is meant by what was typed."""
    named, words = _named(typed), _words_of(typed)
    if not words or tx.execute(named).first() is not None:
        return stories.c.id.in_(named)
    if tx.dialect.name == "sqlite":
        found = _found(words)
        return stories.c.id.in_(found.where(_words.c.rowid.between(low, high)))
    return _has(words, indexed=False)


def among(tx: sa.Connection, keys: Sequence[int]) -> sa.ColumnElement[int]:
    """These keys as a column to select, in one parameter however many they are."""
    if tx.dialect.name == "postgresql":
        return sa.func.unnest(sa.literal(list(keys), ARRAY(sa.BigInteger))).column_valued("id")
    return sa.func.json_each(json.dumps(list(keys))).table_valued("value").c.value


def _named(typed: str) -> sa.Select[Any]:
    name = typed.strip()
    return sa.select(stories.c.id).where(sa.or_(stories.c.story_id == name, stories.c.submission_id == name))


def _words_of(typed: str) -> list[str]:
    return _WORD.findall(typed)[:MOST_WORDS]


def _found(words: list[str]) -> sa.Select[Any]:
    asked = " ".join(f'"{word}"*' for word in words)
    return sa.select(_words.c.rowid).where(sa.literal_column("story_words").op("MATCH")(asked))


def _often(tx: sa.Connection, words: list[str]) -> bool:
    has = _has(words, indexed=False).label("has")
    newest = sa.select(has).select_from(stories).order_by(stories.c.id.desc()).limit(NEWEST).subquery()
    met = tx.execute(sa.select(sa.func.count()).select_from(newest).where(newest.c.has)).scalar_one()
    return met >= OFTEN


def _has(words: list[str], *, indexed: bool = True) -> sa.ColumnElement[bool]:
    """Whether a story's text has the words; PostgreSQL's index is of the one text alone, and of no other."""
    asked = " & ".join(f"{word}:*" for word in words)
    text = _TEXT if indexed else f"{_TEXT} || ''"
    vector: sa.ColumnElement[Any] = sa.literal_column(f"to_tsvector('simple', {text})")
    return vector.bool_op("@@")(sa.func.to_tsquery(sa.literal_column("'simple'"), asked))
