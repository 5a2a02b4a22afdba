"""What comes of the API's calls, as its document tells it."""

from functools import cache
from typing import Literal

from pydantic import BaseModel, Field, JsonValue, create_model

from service.domain.states import Circuit, StepKind, StoryState
from service.replaying import Redone
from service.web.api.shapes import Moment, Shape, Story
from service.withdrawing import Undone


class Submitted(Shape):
    """What came of a submission."""

    story_id: str | None = Field(description="Null while it is unconfirmed.")
    submission_id: str
    state: StoryState
    estimated_credits: int
    used_credits: float | None


class Rate(Shape):
    """What a second of a scene costs with these tools."""

    tier: str
    credits_per_second: int
    video_tools: list[str]


class Estimate(Shape):
    """A price before the fact."""

    kind: Literal["idea", "url", "images"]
    credits: int
    dollars: str
    formula: str
    tier: str
    credits_per_second: int
    rates: list[Rate]


class Checked(Shape):
    """What would be sent, and its price; nothing was sent."""

    dry_run: Literal[True]
    kind: Literal["idea", "url", "images"]
    request: dict[str, JsonValue]
    estimate: Estimate


class Tracked(Shape):
    """An adopted story."""

    known: bool = Field(description="Whether the ledger had it already.")
    story: Story


class RedoneWork(Shape):
    """One piece of work and what a replay did with it."""

    kind: StepKind
    destination: str | None
    done: Redone


class Replayed(Shape):
    """What came of a replay."""

    story: Story
    actions: list[RedoneWork]


class UndoneWork(Shape):
    """One destination and what a withdrawal did with it."""

    destination: str
    done: Undone


class Withdrawn(Shape):
    """What came of a withdrawal."""

    story: Story
    actions: list[UndoneWork]


class Acted(Shape):
    """What came of an action: what it changed, told for people."""

    changed: bool
    told: list[str]
    story: Story


class Lane(Shape):
    """Whether work towards a destination passes."""

    kind: StepKind
    circuit: Circuit
    reason: str | None
    message: str | None
    opened_at: Moment | None
    probe_at: Moment | None
    not_before: Moment | None


class Destination(Shape):
    """A configured place; secrets among its options are masked."""

    name: str
    connector: str
    options: dict[str, str]
    max_in_flight: int | None
    after: list[str]
    fallback: str | None
    lanes: list[Lane]


class Tested(Shape):
    """A test that the destination took."""

    destination: str
    sent: Literal[True]
    url: str | None
    remark: str | None
    reopened: list[StepKind] = Field(description="Work that was paused and passes again.")


class Destinations(Shape):
    """All destinations, by name."""

    items: list[Destination]


@cache  # one shape a name, whatever number of applications a process makes
def page_of(shape: type[Shape], title: str) -> type[BaseModel]:
    """A page of these."""
    return create_model(
        title,
        __base__=Shape,
        __doc__="A page; `next` is null on the last one.",
        items=(list[shape], ...),  # type: ignore[valid-type]
        next=(str | None, ...),
    )
