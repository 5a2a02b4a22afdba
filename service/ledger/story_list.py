"""The list of stories: found by state, route, destination, label, time and words, page by page.

A page costs little however many stories there are: it starts from the condition that the fewest stories meet and
looks the others up, and where even that would be long it stops and says how far it has come.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from service.domain.states import StoryState
from service.ledger.story_words import matching
from service.ledger.tables import is_delivery, steps, stories

FEW = 1000
"""A condition that no more stories meet is one to start from."""

MOST_LOOKED_AT = 12_000
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


@dataclass(frozen=True)
class _Looking:
    """One page's search. `newer`: upwards from the oldest, else downwards from the newest."""

    tx: sa.Connection
    sought: Sought
    newer: bool

    def keys(self, wanted: int, beyond: int | None) -> tuple[list[int], int | None]:
        """Keys in the order of looking; and the last key looked at, where the search stopped before its end."""
        source, is_all = self._source(beyond)
        found: list[int] = []
        looked = 0
        size = wanted if is_all else max(_FIRST_LOOK, wanted)
        while True:
            chunk = self._chunk(source, beyond, size)
            found += chunk if is_all else self._filtered(chunk)
            looked += len(chunk)
            if len(found) >= wanted or len(chunk) < size:
                return found[:wanted], None
            beyond = chunk[-1]
            if looked >= MOST_LOOKED_AT:
                return found, beyond
            size = min(_LOOK, MOST_LOOKED_AT - looked)

    def _source(self, beyond: int | None) -> tuple[sa.Subquery | None, bool]:
        """What to start from, None for all stories; and whether it meets every condition by itself."""
        sources = list(self._sources())
        plain = len(sources) <= 1 and not self.sought.labels
        exact = plain and self.sought.since is None and self.sought.until is None
        if len(sources) == 1:
            return sources[0], exact
        for source in sources:
            few = sa.select(source.c.id).where(*self._within(source.c.id, beyond)).limit(FEW + 1).subquery()
            if self.tx.execute(sa.select(sa.func.count()).select_from(few)).scalar_one() <= FEW:
                return source, False
        return (sources[0] if sources else None), exact

    def _sources(self) -> Iterator[sa.Subquery]:
        """A query of story keys for each condition that an index answers, the likely rarest first."""
        sought = self.sought
        if sought.words.strip():
            yield matching(self.tx, sought.words).subquery()
        if sought.destination is not None:
            yield _delivered(steps.c.destination == sought.destination).subquery()
        if sought.route is not None:
            pinned = sa.select(stories.c.id).where(stories.c.route == sought.route)
            yield sa.union(pinned, _delivered(steps.c.route == sought.route)).subquery()
        if sought.states:
            each = [sa.select(stories.c.id).where(stories.c.state == state) for state in sought.states]
            yield (sa.union_all(*each) if len(each) > 1 else each[0]).subquery()

    def _chunk(self, source: sa.Subquery | None, beyond: int | None, size: int) -> list[int]:
        column = stories.c.id if source is None else source.c.id
        order = column.asc() if self.newer else column.desc()
        query = sa.select(column).where(*self._within(column, beyond)).order_by(order).limit(size)
        return list(self.tx.execute(query).scalars())

    def _within(self, column: sa.ColumnElement[int], beyond: int | None) -> Iterator[sa.ColumnElement[bool]]:
        low, high = self._bounds()
        if beyond is not None:
            yield column > beyond if self.newer else column < beyond
        if low is not None:
            yield column >= low
        if high is not None:
            yield column <= high

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

    def _filtered(self, chunk: Sequence[int]) -> list[int]:
        if not chunk:
            return []
        order = stories.c.id.asc() if self.newer else stories.c.id.desc()
        query = sa.select(stories.c.id).where(stories.c.id.in_(chunk), *self._conditions(chunk))
        return list(self.tx.execute(query.order_by(order)).scalars())

    def _conditions(self, chunk: Sequence[int]) -> Iterator[sa.ColumnElement[bool]]:
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
        if sought.words.strip():
            low, high = min(chunk), max(chunk)
            yield stories.c.id.in_(matching(self.tx, sought.words, low, high))


def _delivered(condition: sa.ColumnElement[bool]) -> sa.Select[tuple[int]]:
    return sa.select(steps.c.story.label("id")).where(is_delivery, condition).distinct()


def _delivers_here(condition: sa.ColumnElement[bool]) -> sa.Exists:
    return sa.exists().where(steps.c.story == stories.c.id, is_delivery, condition)
