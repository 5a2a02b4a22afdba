"""Which stories a bulk replay takes, in the order of its clock.

A look begins where the last one ended, along the index of that time, and looks at so many stories at most: it costs
the same in a ledger of a million stories. Where only few stories can be meant, those are looked up instead.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.bulk_replays import MOST_COUNTED, Choice, Clock, Wanted
from service.domain.states import StepKind
from service.ledger.story_words import among
from service.ledger.tables import is_dead, steps, stories

Place = tuple[datetime, int]
"""Where a story stands: its time by the choice's clock, and its key in the ledger."""

FEW = 2000
"""So many stories are sorted faster than they are found among all."""

CHUNK = 1000
MOST_LOOKED_AT = 5000
LOOKS_TO_COUNT = (12_500, 40_000)
"""How many stories are looked at to count: the second look is where the first one met few."""


@dataclass(frozen=True)
class Met:
    """The chosen stories that come next, in their order. `to`: how far was looked, None: up to the window's end."""

    places: list[Place]
    to: Place | None


@dataclass(frozen=True)
class Total:
    """How many stories are chosen. Not `exact`: at least so many, the rest was not counted."""

    count: int
    exact: bool


def next_places(tx: sa.Connection, choice: Choice, after: Place | None, limit: int) -> Met:
    """Up to `limit` chosen stories beyond that place; fewer, or none, where it would take too long a look."""
    found: list[Place] = []
    for looked in range(CHUNK, MOST_LOOKED_AT + CHUNK, CHUNK):
        chunk = _places(tx, choice, after, CHUNK)
        few = _few(tx, choice) if len(chunk) == CHUNK == looked else None
        if few is not None:
            places = _sorted(tx, choice, few, after)[:limit]
            return Met(places, places[-1] if len(places) == limit else None)
        found += _chosen(tx, choice, chunk)
        if len(found) >= limit:
            return Met(found[:limit], found[limit - 1])
        if len(chunk) < CHUNK:
            return Met(found, None)
        after = chunk[-1]
    return Met(found, after)


def count(tx: sa.Connection, choice: Choice) -> Total:
    """How many stories are chosen, as far as a short look tells."""
    few = _few(tx, choice)
    if few is not None:
        return Total(len(_sorted(tx, choice, few, None)), exact=True)
    found = 0
    for most in LOOKS_TO_COUNT:
        looked, found = _counted(tx, choice, most)
        if looked < most or found > MOST_COUNTED:
            return Total(min(found, MOST_COUNTED), exact=looked < most and found <= MOST_COUNTED)
    return Total(found, exact=False)


def _counted(tx: sa.Connection, choice: Choice, most: int) -> tuple[int, int]:
    """How many of the window's stories were looked at, up to `most`, and how many of these are chosen."""
    window = _window(choice, None).order_by(_at(choice)).limit(most)
    looked = window.with_only_columns(stories.c.id, stories.c.state, stories.c.route).subquery()
    matched = sa.case((sa.and_(*_conditions(choice, looked.c)), 1))
    row = tx.execute(sa.select(sa.func.count(), sa.func.count(matched)).select_from(looked)).one()
    return row[0], row[1]


def _places(tx: sa.Connection, choice: Choice, after: Place | None, limit: int) -> list[Place]:
    query = _window(choice, after).order_by(_at(choice), stories.c.id).limit(limit)
    return [(row.at, row.id) for row in tx.execute(query)]


def _sorted(tx: sa.Connection, choice: Choice, few: Sequence[int], after: Place | None) -> list[Place]:
    # SQLite would look for these keys along the whole window if it were asked for their order
    at = _at(choice)
    query = sa.select(at.label("at"), stories.c.id).where(stories.c.id.in_(_listed(tx, few)), at.is_not(None))
    places = sorted((row.at, row.id) for row in tx.execute(query.where(*_conditions(choice))))
    begun = [place for place in places if choice.since <= place[0] < choice.until]
    return begun if after is None else [place for place in begun if place > after]


def _window(choice: Choice, after: Place | None) -> sa.Select[Any]:
    at = _at(choice)
    since = choice.since if after is None else after[0]
    query = sa.select(stories.c.id, at.label("at")).where(at >= since, at < choice.until)
    return query if after is None else query.where(sa.or_(at > after[0], stories.c.id > after[1]))


def _at(choice: Choice) -> sa.Column[Any]:
    return stories.c.created_at if choice.by == Clock.CREATED else stories.c.finished_at


def _chosen(tx: sa.Connection, choice: Choice, places: Sequence[Place]) -> list[Place]:
    """Those of the places that have all that is asked for."""
    if not places:
        return []
    listed = stories.c.id.in_(_listed(tx, [key for _, key in places]))
    keys = set(tx.execute(sa.select(stories.c.id).where(listed, *_conditions(choice))).scalars())
    return [place for place in places if place[1] in keys]


def _few(tx: sa.Connection, choice: Choice) -> list[int] | None:
    """All stories that can be meant, whenever they were; None where these are many, as the settled ones are."""
    if choice.wanted == Wanted.SETTLED:
        return None
    if choice.wanted == Wanted.DEAD:
        query = _given_up(choice.destination)
    else:
        query = sa.select(stories.c.id).where(stories.c.state == choice.wanted.story_state)
    keys = list(tx.execute(query.limit(FEW + 1)).scalars())
    return None if len(keys) > FEW else keys


def _listed(tx: sa.Connection, keys: Sequence[int]) -> sa.Select[Any]:
    return sa.select(among(tx, keys))


def _conditions(choice: Choice, columns: Any = stories.c) -> Iterator[sa.ColumnElement[bool]]:
    state = choice.wanted.story_state
    yield sa.true() if state is None else columns.state == state
    if choice.wanted == Wanted.DEAD:
        # not EXISTS: SQLite would read all of them for each story
        yield columns.id.in_(_given_up(choice.destination))
    if choice.route is not None:
        by_route = sa.exists().where(steps.c.story == columns.id, steps.c.route == choice.route)
        yield sa.or_(columns.route == choice.route, by_route)


def _given_up(destination: str | None) -> sa.Select[Any]:
    # not also `story IS NOT NULL`, which holds anyway: SQLite would take the index of that
    query = sa.select(steps.c.story).where(is_dead, steps.c.kind == StepKind.DELIVER)
    return query if destination is None else query.where(steps.c.destination == destination)
