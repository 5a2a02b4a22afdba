"""Which stories go where."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from service.domain.opening_hours import OpeningHours
from service.domain.spans import Span

Scalar = str | int | float | bool

STORY_FIELDS = (
    "id", "title", "idea", "is_transition", "status", "progress_percentage", "aspect_ratio", "used_credits",
    "video_url", "created_at", "updated_at", "language", "kind", "labels", "duration",
)  # fmt: skip
"""Fields that a condition usually names; any other field of the story's snapshot may be named as well."""

_LONGEST_SHOWN = 80
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}
_NUMBER = re.compile(r"-?\d{1,300}(\.\d{1,300})?", re.ASCII)


@dataclass(frozen=True)
class Condition:
    """The story's field at `path` (`("labels", "team")` is a nested one) must be like one of `any_of`."""

    path: tuple[str, ...]
    any_of: tuple[Scalar | Span, ...]

    def __str__(self) -> str:
        return f"{'.'.join(self.path)} = {' or '.join(map(_written, self.any_of))}"


@dataclass(frozen=True)
class Route:
    """Sends the stories that fulfil every condition of `when` to `destinations`.

    `open` are the hours in which the route is taken, None: always. It counts when the story's video is here; what
    comes outside of them doesn't wait, it goes other ways. Raising `token_version` revokes the webhook URLs that
    were made for the route. `approval`: the destination that gets a story first, and is asked whether the others may.
    """

    name: str
    destinations: tuple[str, ...]
    when: tuple[Condition, ...] = ()
    token_version: int = 1
    open: OpeningHours | None = None
    approval: str | None = None

    @property
    def leads_to(self) -> tuple[str, ...]:
        """Its destinations, the one that is asked before the others."""
        return (
            self.destinations
            if self.approval is None
            else tuple(dict.fromkeys((self.approval, *self.destinations)))
        )

    def asks_for(self, destination: str) -> bool:
        """Whether the destination has to wait for an answer on this route."""
        return self.approval not in (None, destination)


class UnknownRoute(LookupError):
    """The story is pinned to a route that is not configured (any more); `name` is the route's."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no route {name[:80]!r} in the configuration")
        self.name = name


def matches(route: Route, facts: Mapping[str, Any], now: datetime) -> bool:
    """Says whether a story with these facts (field → JSON value, untrusted) takes the route at this moment.

    It has to fulfil all conditions. Texts compare without regard to case; `*` stands for any characters, `?` for
    one, nothing else is special. Numbers compare by value, also with a text that holds a number. Of a list of facts
    any may match. A field that is missing or null fulfils no condition.
    """
    return not any(unmet(route, facts, now))


def unmet(route: Route, facts: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Yields why the story does not take the route, for people: each condition that it does not fulfil."""
    for condition in route.when:
        if not holds(condition, facts):
            yield f"wants {condition}; it is {_shown(_fact(facts, condition.path))}"
    if route.open is not None and not route.open.are_open(now):
        yield f"is open {route.open}; it is {route.open.moment(now)}"


def routes_for(
    routes: Sequence[Route], facts: Mapping[str, Any], pinned: str | None, now: datetime
) -> tuple[Route, ...]:
    """The routes that a story takes: the pinned one, `when` not asked, else every one that matches.

    Raises UnknownRoute when the pinned one is not there.
    """
    if pinned is None:
        return tuple(route for route in routes if matches(route, facts, now))
    found = tuple(route for route in routes if route.name == pinned)
    if not found:
        raise UnknownRoute(pinned)
    return found


def destinations_for(
    routes: Sequence[Route], facts: Mapping[str, Any], pinned: str | None, now: datetime
) -> dict[str, str]:
    """Destination → the first route that leads to it, in the order of the routes; each destination once.

    One that leads there without asking anybody comes before one that asks. Raises UnknownRoute as `routes_for`.
    """
    return led_to(routes_for(routes, facts, pinned, now))


def led_to(routes: Sequence[Route]) -> dict[str, str]:
    """As `destinations_for`, of routes that a story takes."""
    found: dict[str, Route] = {}
    for route in routes:
        for destination in route.leads_to:
            first = found.setdefault(destination, route)
            if first.asks_for(destination) and not route.asks_for(destination):
                found[destination] = route
    return {destination: route.name for destination, route in found.items()}


def questions_for(routes: Sequence[Route], wanted: Mapping[str, str]) -> dict[str, str]:
    """Route → the destination that is asked, of the routes that somewhere in `wanted` a delivery waits for."""
    return {
        route.name: route.approval
        for route in routes
        if route.approval is not None
        and any(name == route.name and route.asks_for(to) for to, name in wanted.items())
    }


def holds(condition: Condition, facts: Mapping[str, Any]) -> bool:
    """Says whether a story with these facts fulfils the condition; see `matches`."""
    fact = _fact(facts, condition.path)
    candidates = fact if isinstance(fact, list | tuple) else (fact,)
    return any(_like(candidate, wanted) for candidate in candidates for wanted in condition.any_of)


def _written(wanted: Scalar | Span) -> str:
    return (
        str(wanted).lower()
        if isinstance(wanted, bool)
        else repr(wanted)
        if isinstance(wanted, str)
        else str(wanted)
    )


def _shown(fact: Any) -> str:
    return "not known" if fact is None or fact == "" else repr(fact)[:_LONGEST_SHOWN]


def _fact(facts: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = facts
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _like(fact: Any, wanted: Scalar | Span) -> bool:
    if not isinstance(fact, str | int | float):
        return False
    if isinstance(wanted, Span):
        number = _number(fact)
        return number is not None and wanted.holds(number)
    if isinstance(wanted, bool):
        return _BOOLEANS.get(_text(fact).strip()) is wanted
    if isinstance(wanted, str):
        return _pattern(wanted).fullmatch(_text(fact)) is not None
    return _number(fact) == wanted


def _text(fact: Scalar) -> str:
    if isinstance(fact, float) and fact.is_integer():
        fact = int(fact)  # JSON has one kind of number: 5.0 is the 5 that people write
    return _fold(str(fact))


def _number(fact: Scalar) -> float | None:
    if isinstance(fact, bool):
        return None
    if isinstance(fact, str):
        return float(fact) if _NUMBER.fullmatch(fact.strip()) else None
    return fact


def _fold(text: str) -> str:
    # the same letter can be written composed or not, and the two must be one
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


@lru_cache(maxsize=1024)
def _pattern(wildcard: str) -> re.Pattern[str]:
    """Atomic groups: a part once found is never sought again, so a hostile text costs linear time."""
    first, *rest = (_escaped(part) for part in _fold(wildcard).split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    return re.compile(f"{first}{''.join(f'(?>.*?{part})' for part in middle)}.*{last}", re.DOTALL)


def _escaped(part: str) -> str:
    return ".".join(re.escape(literal) for literal in part.split("?"))
