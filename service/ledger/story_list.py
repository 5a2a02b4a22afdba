"""The list of stories: found by state, route, destination, label, time and words, page by page.

A page costs little however many stories there are: it starts from the condition that the fewest stories meet near
where the page begins, looks the others up, and where even that would be long it stops and says how far it has come.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from service.domain.states import StoryState
from service.ledger.stories import StoryRow, of_keys
from service.ledger.story_words import among, holds, matching
from service.ledger.tables import is_delivery, steps, stories

FEW = 1000
"""By where so many stories of a condition lead, the rarest condition is found."""

MOST_LOOKED_AT = 6000
"""Stories that one page may look at."""

_FIRST_LOOK, _LOOK = 200, 3000
_ABREAST = 200
"""Stories come in at once and may pass each other: so many keys around a time are taken for unordered."""


@dataclass(frozen=True)
class Sought:
    """Which stories: all that is given must hold. Times of coming in, `until` exclusive; `words` as people type."""

    states: tuple[StoryState, ...] = ()
    route: str | None = None
    destination: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    words: str = ""


@dataclass(frozen=True)
class Found:
    """A page, the newest story first, as ledger keys.

    `older` and `newer` are the keys that the next pages begin beyond, None where nothing more is there.
    `looked_to`: stories beyond this key were not looked at, though the page is not full: `older` goes on there.
    """

    keys: tuple[int, ...]
    older: int | None
    newer: int | None
    looked_to: int | None = None


def page(
    tx: sa.Connection, sought: Sought, limit: int, *, before: int | None = None, after: int | None = None
) -> Found:
    """The newest stories with keys below `before`; or those next above `after`, which are the newest on no account."""
    looking = _Looking(tx, sought, newer=after is not None)
    keys, stopped = looking.keys(limit + 1, after if after is not None else before)
    more, shown = len(keys) > limit, keys[:limit]
    if after is not None:
        shown = shown[::-1]
        end = shown[0] if more and shown else stopped
        return Found(tuple(shown), (shown[-1] if shown else after + 1), end, stopped)
    first = shown[0] if shown else before
    newer = (first if shown else first - 1) if before is not None and first is not None else None
    return Found(tuple(shown), shown[-1] if more else stopped, newer, None if more else stopped)


def newest(tx: sa.Connection, sought: Sought, limit: int) -> list[StoryRow]:
    """The newest so many, however long it takes to find them."""
    keys: list[int] = []
    before: int | None = None
    while len(keys) < limit:
        found = page(tx, sought, min(limit - len(keys), FEW), before=before)
        keys += found.keys
        before = found.older
        if before is None:
            break
    return [row for start in range(0, len(keys), FEW) for row in of_keys(tx, keys[start : start + FEW])]


Streams = tuple[sa.Select[Any], ...]


@dataclass(frozen=True)
class _Start:
    """The condition that a search starts from. `is_all`: nothing else is asked for; `is_words`: these need no look."""

    streams: Streams
    is_all: bool = False
    is_words: bool = False


@dataclass(frozen=True)
class _Looking:
    """One page's search. `newer`: upwards from the oldest, else downwards from the newest."""

    tx: sa.Connection
    sought: Sought
    newer: bool

    def keys(self, wanted: int, beyond: int | None) -> tuple[list[int], int | None]:
        """Keys in the order of looking; and the last key looked at, where the search stopped before its end."""
        start = self._start(beyond)
        found: list[int] = []
        looked = 0
        size = wanted if start.is_all else max(_FIRST_LOOK, wanted)
        while True:
            chunk, is_last = self._chunk(start.streams, beyond, size)
            found += chunk if start.is_all else self._filtered(chunk, start)
            looked += len(chunk)
            if len(found) >= wanted or is_last:
                return found[:wanted], None
            beyond = chunk[-1]
            if looked >= MOST_LOOKED_AT:
                return found, beyond
            size = min(_LOOK, MOST_LOOKED_AT - looked)

    def _start(self, beyond: int | None) -> _Start:
        """The condition to start from, all stories where there is none."""
        conditions = list(self._streams())
        sought = self.sought
        timed = sought.since is not None or sought.until is not None
        if len(conditions) <= 1:
            streams = conditions[0] if conditions else (sa.select(stories.c.id),)
            return _Start(streams, is_all=not sought.labels and not timed, is_words=self._has_words)
        rarest = max(conditions, key=lambda streams: self._reach(streams, beyond))
        return _Start(rarest, is_words=self._has_words and rarest is conditions[0])

    @property
    def _has_words(self) -> bool:
        return bool(self.sought.words.strip())

    def _reach(self, streams: Streams, beyond: int | None) -> float:
        """How far the next stories of a condition lead: the rarer they are, the farther."""
        chunk, is_last = self._chunk(streams, beyond, FEW)
        if is_last:
            return math.inf
        return chunk[-1] if self.newer else -chunk[-1]

    def _streams(self) -> Iterator[Streams]:
        """For each condition that indexes answer the queries of story keys that meet it, the likely rarest first."""
        sought = self.sought
        if self._has_words:
            yield (matching(self.tx, sought.words),)
        if sought.destination is not None:
            yield (_delivered(steps.c.destination == sought.destination),)
        if sought.route is not None:
            pinned = sa.select(stories.c.id).where(stories.c.route == sought.route)
            yield pinned, _delivered(steps.c.route == sought.route)
        if sought.states:
            yield tuple(sa.select(stories.c.id).where(stories.c.state == state) for state in sought.states)

    def _chunk(self, streams: Streams, beyond: int | None, size: int) -> tuple[list[int], bool]:
        """The next keys of all the queries together, each once, and whether they are the last ones.

        A query that has more than `size` limits the others: what lies beyond its last key comes next time.
        """
        ends: list[int] = []
        met: set[int] = set()
        for query in streams:
            column = query.selected_columns[0]
            order = column.asc() if self.newer else column.desc()
            limited = query.where(*self._within(column, beyond)).order_by(order).limit(size)
            keys = list(self.tx.execute(limited).scalars())
            met.update(keys)
            if len(keys) == size:
                ends.append(keys[-1])
        ordered = sorted(met, reverse=not self.newer)
        if not ends:
            return ordered, True
        if self.newer:
            return [key for key in ordered if key <= min(ends)], False
        return [key for key in ordered if key >= max(ends)], False

    def _within(self, column: sa.ColumnElement[int], beyond: int | None) -> Iterator[sa.ColumnElement[bool]]:
        low, high = self._bounds
        if beyond is not None:
            yield column > beyond if self.newer else column < beyond
        if low is not None:
            yield column >= low
        if high is not None:
            yield column <= high

    @cached_property
    def _bounds(self) -> tuple[int | None, int | None]:
        """Keys between which all stories of that time lie."""
        since, until, at = self.sought.since, self.sought.until, stories.c.created_at
        low = high = None
        if since is not None:
            first = sa.select(stories.c.id).where(at >= since).order_by(at).limit(_ABREAST).subquery()
            low = self.tx.execute(sa.select(sa.func.min(first.c.id))).scalar_one()
            low = 2**62 if low is None else low
        if until is not None:
            last = sa.select(stories.c.id).where(at < until).order_by(at.desc()).limit(_ABREAST).subquery()
            high = self.tx.execute(sa.select(sa.func.max(last.c.id))).scalar_one() or 0
        return low, high

    def _filtered(self, chunk: Sequence[int], start: _Start) -> list[int]:
        if not chunk:
            return []
        order = stories.c.id.asc() if self.newer else stories.c.id.desc()
        query = sa.select(stories.c.id).where(self._is_in(chunk), *self._conditions(chunk, start))
        return list(self.tx.execute(query.order_by(order)).scalars())

    def _is_in(self, chunk: Sequence[int]) -> sa.ColumnElement[bool]:
        low, high = min(chunk), max(chunk)
        if high - low == len(chunk) - 1:
            return stories.c.id.between(low, high)
        return stories.c.id.in_(sa.select(among(self.tx, chunk)))

    def _conditions(self, chunk: Sequence[int], start: _Start) -> Iterator[sa.ColumnElement[bool]]:
        sought = self.sought
        if sought.states:
            yield stories.c.state.in_(sought.states)
        if sought.since is not None:
            yield stories.c.created_at >= sought.since
        if sought.until is not None:
            yield stories.c.created_at < sought.until
        if sought.destination is not None:
            yield _delivers_here(steps.c.destination == sought.destination)
        if sought.route is not None:
            yield sa.or_(stories.c.route == sought.route, _delivers_here(steps.c.route == sought.route))
        for name, value in sought.labels.items():
            yield stories.c.labels[name].as_string() == value
        if self._has_words and not start.is_words:
            yield holds(self.tx, sought.words, min(chunk), max(chunk))


def _delivered(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(steps.c.story).where(is_delivery, condition)


def _delivers_here(condition: sa.ColumnElement[bool]) -> sa.Exists:
    return sa.exists().where(steps.c.story == stories.c.id, is_delivery, condition)
