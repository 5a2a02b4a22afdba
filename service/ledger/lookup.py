"""Finds a story by what people type."""

import sqlalchemy as sa

from service.ledger import stories as story_rows
from service.ledger.stories import StoryRow
from service.ledger.tables import stories

SHORTEST = 4
"""Characters of a beginning; fewer would name whatever is there."""


def exact(tx: sa.Connection, name: str) -> StoryRow | None:
    """The story with exactly this Story API id or submission id."""
    found = _rows(tx, _keys(tx, [stories.c.story_id == name, stories.c.submission_id == name], 1))
    return found[0] if found else None


def named(tx: sa.Connection, name: str, limit: int) -> list[StoryRow]:
    """The story with exactly this Story API id or submission id, else up to `limit` whose either begins so."""
    ids = (stories.c.story_id, stories.c.submission_id)
    exact = _keys(tx, [column == name for column in ids], 1)
    if exact or len(name) < SHORTEST:
        return _rows(tx, exact)
    # not LIKE: in SQLite it takes A for a
    return _rows(tx, _keys(tx, [sa.func.substr(column, 1, len(name)) == name for column in ids], limit))


def _keys(tx: sa.Connection, either: list[sa.ColumnElement[bool]], limit: int) -> list[int]:
    query = sa.select(stories.c.id).where(sa.or_(*either)).order_by(stories.c.id.desc()).limit(limit)
    return list(tx.execute(query).scalars())


def _rows(tx: sa.Connection, keys: list[int]) -> list[StoryRow]:
    return [row for row in (story_rows.read(tx, key) for key in keys) if row is not None]
