"""Which routes a story takes, and what keeps it from the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.domain.routing import Route, UnknownRoute, unmet
from service.ledger.stories import StoryRow
from service.story_api import VideoRequest

_ALSO_ASKED_FOR = ("idea", "aspect_ratio")
"""What the Story API need not repeat of our own request."""


@dataclass(frozen=True)
class RouteTaken:
    """One route as a story finds it: `why_not` is empty where it takes the route."""

    route: Route
    why_not: tuple[str, ...]


def language_of(row: StoryRow) -> str | None:
    """The language that was asked for: the Story API's own where our request named none, None if it is not ours."""
    given = row.request.get("language")
    if isinstance(given, str):
        return given
    return str(VideoRequest.model_fields["language"].default) if row.kind else None


def routing_facts(row: StoryRow, seconds: float | None) -> Mapping[str, Any]:
    """Field → JSON value (untrusted): the Story API's last answer, our own request, and what was found out here.

    `seconds` is the length of the downloaded video (None: not known); `duration` is the whole number nearest to it.
    """
    asked = {name: row.request.get(name) for name in _ALSO_ASKED_FOR if row.snapshot.get(name) is None}
    if row.snapshot.get("language") is None:
        asked["language"] = language_of(row)
    own = {"title": row.title, "kind": row.kind, "labels": row.labels}
    return {**row.snapshot, **asked, **own, "duration": None if seconds is None else round(seconds)}


def routes_taken(
    routes: Sequence[Route], facts: Mapping[str, Any], pinned: str | None, now: datetime
) -> list[RouteTaken]:
    """Each route in order, with what keeps a story with these facts from it at this moment.

    Raises UnknownRoute when the story is pinned to a route that is not there.
    """
    if pinned is not None and pinned not in {route.name for route in routes}:
        raise UnknownRoute(pinned)
    return [RouteTaken(route, _why_not(route, facts, pinned, now)) for route in routes]


def _why_not(route: Route, facts: Mapping[str, Any], pinned: str | None, now: datetime) -> tuple[str, ...]:
    if pinned is None:
        return tuple(unmet(route, facts, now))
    return () if route.name == pinned else (f"the story is pinned to {pinned}",)
