"""Which routes a story would take, a known one or one that is described, and what keeps it from the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, request

from service.domain.people import Role
from service.domain.routing import UnknownRoute
from service.ledger import lookup, stories
from service.ledger.stories import StoryRow
from service.route_choice import RouteTaken, routes_taken, routing_facts
from service.web.dashboard.guard import needs, sentence
from service.wiring import Relay

FIELDS = ("title", "idea", "aspect_ratio", "language", "kind", "duration", "used_credits")
_NUMBERS = ("duration", "used_credits")


class NotUnderstood(ValueError):
    """The form asks for a story that is not there, or says what can't be; the message says what would be right."""


@dataclass(frozen=True)
class Answer:
    """The routes as the story finds them; `story` None: it was described."""

    story: StoryRow | None
    routes: list[RouteTaken]

    @property
    def destinations(self) -> list[str]:
        """Where the story would go."""
        taken = (name for each in self.routes if not each.why_not for name in each.route.destinations)
        return list(dict.fromkeys(taken))


def add(page: Blueprint, relay: Relay) -> None:
    """Adds the page."""

    @page.get("/routes")
    @needs(Role.VIEWER)
    def route_choice() -> str:
        answer, problem = None, ""
        try:
            answer = _answer(relay, request.args) if any(request.args.values()) else None
        except (NotUnderstood, UnknownRoute) as error:
            problem = sentence(error)
        return render_template(
            "route_choice.html",
            asked=request.args,
            fields=FIELDS,
            answer=answer,
            problem=problem,
            now=relay.now(),
        )


def _answer(relay: Relay, asked: Mapping[str, str]) -> Answer:
    named = asked.get("story", "").strip()
    routes, now = relay.configuration.routes, relay.now()
    if not named:
        return Answer(None, routes_taken(routes, _described(asked), None, now))
    row = _find(relay, named)
    with relay.ledger.read() as tx:
        video = stories.read_video(tx, row.id, row.revision)
    facts = routing_facts(row, video.seconds if video is not None else None)
    return Answer(row, routes_taken(routes, facts, row.route, now))


def _find(relay: Relay, name: str) -> StoryRow:
    with relay.ledger.read() as tx:
        found = lookup.named(tx, name, 2) if name.isprintable() else []
    if not found:
        raise NotUnderstood(f"no story here has the id “{name[:80]}”, or one that begins so")
    if len(found) > 1:
        raise NotUnderstood(f"“{name[:80]}” is the beginning of several ids: write more of it")
    return found[0]


def _described(asked: Mapping[str, str]) -> Mapping[str, Any]:
    facts: dict[str, Any] = {name: asked[name] for name in FIELDS if asked.get(name, "").strip()}
    for name in _NUMBERS:
        if name in facts:
            facts[name] = _number(name, facts[name])
    return {**facts, "labels": _labels(asked.get("labels", ""))}


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise NotUnderstood(f"“{name}” should be a number, such as 15") from error


def _labels(text: str) -> Mapping[str, str]:
    pairs = [each.partition("=") for each in text.replace(",", " ").split()]
    if not all(name and equals for name, equals, _ in pairs):
        raise NotUnderstood("labels are written as team=brand, several with a space between them")
    return {name: value for name, _, value in pairs}
