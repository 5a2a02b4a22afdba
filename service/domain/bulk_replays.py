"""What a replay of many stories is about: which stories are chosen, and where each of them goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from service.domain.states import Intent, StepKind, StepState, StoryState


class Wanted(StrEnum):
    """The stories that can be chosen. `DEAD`: those with a delivery that was given up; the others by their state."""

    DEAD = "dead"
    SETTLED = "settled"
    FAILED = "failed"
    UNKNOWN = "unknown"
    GIVEN_UP = "given_up"

    @property
    def story_state(self) -> StoryState | None:
        """The state of such stories, None where their state does not decide."""
        return None if self == Wanted.DEAD else StoryState(self.value)


class Clock(StrEnum):
    """Which of a story's times the window is about."""

    CREATED = "created"
    FINISHED = "finished"


_ONE_STORY_MAY_BE_BOTH = {Wanted.DEAD, Wanted.SETTLED}
_NEVER_FINISHED = (Wanted.UNKNOWN, Wanted.GIVEN_UP)


def usual_clock(wanted: Wanted) -> Clock:
    """Which time people mean where they name none."""
    return Clock.CREATED if wanted in _NEVER_FINISHED else Clock.FINISHED


@dataclass(frozen=True)
class Choice:
    """Which stories a bulk replay takes: from `since` (its moment included) until `until` (not included).

    `route`: stories that a step of theirs came by, or that are pinned to it. `destination`: only its deliveries are
    done again; stories go there that today's routes lead there.
    """

    wanted: Wanted
    since: datetime
    until: datetime
    by: Clock = Clock.FINISHED
    route: str | None = None
    destination: str | None = None

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise ValueError("the window's ends need a timezone")
        if self.since >= self.until:
            raise ValueError("the window ends before it begins")
        if self.by == Clock.FINISHED and self.wanted in _NEVER_FINISHED:
            raise ValueError(f"stories that are {self.wanted} never finished: choose them by created")

    def meets(self, other: "Choice") -> bool:
        """Whether both may deliver the same stories to the same destinations."""
        return (
            (self.wanted == other.wanted or {self.wanted, other.wanted} == _ONE_STORY_MAY_BE_BOTH)
            and self.since < other.until
            and other.since < self.until
            and (self.route is None or other.route in (None, self.route))
            and (self.destination is None or other.destination in (None, self.destination))
        )

    def as_json(self) -> dict[str, str | None]:
        """JSON values, from which `read_choice` makes an equal one."""
        return {
            "wanted": self.wanted.value,
            "by": self.by.value,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "route": self.route,
            "destination": self.destination,
        }


MOST_COUNTED = 10_000
"""Stories beyond which it does not matter how many are chosen."""


def how_many(count: int, *, exact: bool) -> str:
    """How many stories are chosen, for people: `1,204`, `more than 10,000`, or `12 or more` where a look was cut."""
    if exact:
        return f"{count:,}"
    return f"more than {MOST_COUNTED:,}" if count >= MOST_COUNTED else f"{count:,} or more"


def read_choice(values: Mapping[str, Any]) -> Choice:
    """The choice from what `as_json` made of it."""
    return Choice(
        wanted=Wanted(values["wanted"]),
        by=Clock(values["by"]),
        since=datetime.fromisoformat(values["since"]),
        until=datetime.fromisoformat(values["until"]),
        route=values["route"],
        destination=values["destination"],
    )


class Delivered(Protocol):
    """A step of the story, as far as it matters here."""

    @property
    def kind(self) -> str:
        """The kind of work."""

    @property
    def destination(self) -> str:
        """Where it leads."""

    @property
    def revision(self) -> int:
        """Of which of the story's videos."""

    @property
    def state(self) -> str:
        """Where it stands."""

    @property
    def intent(self) -> str:
        """To publish or to withdraw."""

    @property
    def instead_of(self) -> str | None:
        """For which destination it stands in."""


@dataclass(frozen=True)
class Plan:
    """Where one story goes when it is replayed.

    `then`: the destinations that had it; `today`: those to which today's routes lead; `targets`: those that get it
    now. `why_not`: why it is left out, '' when it is not; `targets` may be empty then, too: it has no video yet, and
    is fetched or downloaded again.
    """

    then: tuple[str, ...] = ()
    today: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    why_not: str = ""

    @property
    def gone(self) -> tuple[str, ...]:
        """What had it and would not get it by today's routes."""
        return tuple(name for name in self.then if name not in self.today)

    @property
    def new(self) -> tuple[str, ...]:
        """What did not have it and would get it by today's routes."""
        return tuple(name for name in self.today if name not in self.then)


WITHDRAWN = "it was withdrawn there"
NO_ROUTE = "today's routes lead it nowhere"
NOT_THERE = "today's routes do not lead it there"
NOT_DEAD = "none of its deliveries is given up any more"
NO_VIDEO = "it has no video that could be delivered"


def plan_without_video(choice: Choice) -> Plan:
    """The plan of a story without a video: it is fetched or downloaded again, unless deliveries are asked for."""
    asks_deliveries = choice.destination is not None or choice.wanted == Wanted.DEAD
    return Plan(why_not=NO_VIDEO) if asks_deliveries else Plan()


def plan(choice: Choice, steps: Sequence[Delivered], today: Sequence[str]) -> Plan:
    """Where a story with a video goes, to which today's routes give these destinations.

    What was withdrawn stays withdrawn. Of given-up deliveries, those alone are done again.
    """
    latest = {step.destination: step for step in steps if step.kind == StepKind.DELIVER}
    newest = max((step.revision for step in latest.values()), default=0)
    current = {name: step for name, step in latest.items() if step.revision == newest}
    then = tuple(name for name, step in current.items() if step.instead_of is None)
    wanted = _of_dead(current, today) if choice.wanted == Wanted.DEAD else tuple(today)
    routed = tuple(name for name in wanted if choice.destination in (None, name))
    targets = tuple(name for name in routed if name not in latest or latest[name].intent != Intent.WITHDRAW)
    why_not = "" if targets else _why_not(choice, current, today, routed)
    return Plan(then, tuple(today), targets, why_not)


def _of_dead(current: Mapping[str, Delivered], today: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        name
        for name, step in current.items()
        if step.state == StepState.DEAD and (name in today or step.instead_of in today)
    )


def _why_not(
    choice: Choice, current: Mapping[str, Delivered], today: Sequence[str], routed: Sequence[str]
) -> str:
    if routed:
        return WITHDRAWN
    dead = [name for name, step in current.items() if step.state == StepState.DEAD]
    if choice.wanted == Wanted.DEAD and not {*dead} & {choice.destination or name for name in dead}:
        return NOT_DEAD
    return NOT_THERE if today else NO_ROUTE
