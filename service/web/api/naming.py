"""Finds what a call names: a story, a route, destinations."""

from collections.abc import Sequence

from service.ledger import lookup
from service.ledger.stories import StoryRow
from service.web.api.problems import FieldError, Problem, Refused, refuse
from service.wiring import Relay


def found_story(relay: Relay, name: str) -> StoryRow:
    """The story of that id, or of that submission. Raises Refused."""
    with relay.ledger.read() as tx:
        row = lookup.exact(tx, name)
    if row is None:
        raise refuse(
            404,
            "no such story; POST /api/v1/tracked adopts one of others",
            "unknown-story",
        )
    return row


def known_route(relay: Relay, name: str | None) -> None:
    """Raises Refused for a route that is not configured."""
    names = [route.name for route in relay.configuration.routes]
    if name is not None and name not in names:
        raise _unknown("route", f"there is no such route; there are {', '.join(names) or 'none'}")


def known_destinations(relay: Relay, names: Sequence[str]) -> None:
    """Raises Refused for a destination that is not configured."""
    known = sorted(relay.configuration.destinations)
    for number, name in enumerate(names):
        if name not in known:
            there = ", ".join(known) or "none"
            raise _unknown(f"destinations.{number}", f"there is no such destination; there are {there}")


def _unknown(field: str, text: str) -> Refused:
    return Refused(Problem(422, text, "invalid-request", [FieldError(field, text)]))
