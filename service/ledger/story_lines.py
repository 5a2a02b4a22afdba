"""Stories as a list shows them: one line each, with what became of it at its destinations."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from service.domain.states import Intent, StepState, StoryState
from service.ledger.tables import is_delivery, steps, stories

IDEA_LENGTH = 200
"""So much of an idea is read for a list."""


@dataclass(frozen=True)
class Delivered:
    """Where the newest delivery to one destination stands. `url` came from the place: untrusted."""

    destination: str
    state: StepState
    intent: Intent
    url: str | None


@dataclass(frozen=True)
class StoryLine:
    """A story in a list. `route`: the pinned one, or those that its deliveries came by."""

    id: int
    submission_id: str
    story_id: str | None
    state: StoryState
    title: str
    idea: str
    route: str
    progress: int | None
    used_credits: float | None
    created_at: datetime
    finished_at: datetime | None
    settled_at: datetime | None
    message: str | None
    deliveries: Sequence[Delivered] = ()

    @property
    def about(self) -> str:
        """Its name in addresses: the Story API's id, or our submission's."""
        return self.story_id or self.submission_id


def lines(tx: sa.Connection, keys: Sequence[int]) -> list[StoryLine]:
    """The stories of these ledger keys, in this order; those that are gone are left out."""
    if not keys:
        return []
    delivered, routes = _deliveries(tx, keys)
    named: tuple[str, ...] = ("id", "submission_id", "story_id", "state", "title", "progress", "used_credits")
    named += ("created_at", "finished_at", "settled_at", "message")
    idea = sa.func.substr(stories.c.request["idea"].as_string(), 1, IDEA_LENGTH).label("idea")
    query = sa.select(*(stories.c[name] for name in named), stories.c.route, idea)
    found = {
        row.id: StoryLine(
            **{name: getattr(row, name) for name in named},
            idea=row.idea or "",
            route=row.route or ", ".join(routes[row.id]),
            deliveries=delivered[row.id],
        )
        for row in tx.execute(query.where(stories.c.id.in_(keys)))
    }
    return [found[key] for key in keys if key in found]


def _deliveries(
    tx: sa.Connection, keys: Sequence[int]
) -> tuple[Mapping[int, list[Delivered]], Mapping[int, list[str]]]:
    """By story: the newest delivery to each destination, and the routes that led there."""
    query = (
        sa.select(
            steps.c.story, steps.c.destination, steps.c.route, steps.c.state, steps.c.intent, steps.c.url
        )
        .where(is_delivery, steps.c.story.in_(keys))
        .order_by(steps.c.revision, steps.c.id)
    )
    newest: dict[int, dict[str, Delivered]] = defaultdict(dict)
    routes: dict[int, list[str]] = defaultdict(list)
    for row in tx.execute(query):
        state, intent = StepState(row.state), Intent(row.intent)
        newest[row.story][row.destination] = Delivered(row.destination, state, intent, row.url)
        if row.route and row.route not in routes[row.story]:
            routes[row.story].append(row.route)
    return defaultdict(list, {key: list(found.values()) for key, found in newest.items()}), routes
