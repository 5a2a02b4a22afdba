"""Replays of many stories, as the API's document tells them."""

from typing import Annotated

from pydantic import Field

from service.domain.bulk_replays import Clock, Wanted
from service.ledger.bulk_replays import BulkState
from service.web.api.shapes import Moment, Shape

Exact = Annotated[
    bool, Field(description="false: at least `total` are chosen; no more than 10,000 are counted.")
]


class BulkChoice(Shape):
    """Which stories."""

    wanted: Wanted
    by: Clock
    since: Moment
    until: Moment
    route: str | None
    destination: str | None


class BulkReplayShape(Shape):
    """A replay of many stories, and how far it is."""

    id: int
    who: str
    state: BulkState
    choice: BulkChoice
    total: int
    exact: Exact
    replayed: int
    skipped: int
    created_at: Moment
    ended_at: Moment | None


class BulkReplayInFull(BulkReplayShape):
    """A replay of many stories, and why stories were left out."""

    reasons: dict[str, int]


class BulkExample(Shape):
    """One chosen story, and where it would go."""

    story: str
    then: list[str]
    now: list[str]
    why_not: str | None


class BulkDryRun(Shape):
    """What a replay of many stories would do; `looked_at` were worked out, `total` are chosen."""

    choice: BulkChoice
    total: int
    exact: Exact
    looked_at: int
    replayed: int
    skipped: dict[str, int]
    differ: Annotated[int, Field(description="Those that would go elsewhere than then.")]
    gone: dict[str, int]
    new: dict[str, int]
    examples: list[BulkExample]
