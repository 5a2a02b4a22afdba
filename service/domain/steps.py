"""A claimed step, and what its handler may answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.domain.states import Intent, StepKind, StepState


@dataclass(frozen=True)
class Lane:
    """What waits in one line: a kind of work towards one destination ('' where there is none)."""

    kind: StepKind
    destination: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.destination}" if self.destination else str(self.kind)

    @property
    def words(self) -> str:
        """The lane as people are told of it."""
        return _LANES[self.kind].format(self.destination)


_LANES = {
    StepKind.FETCH: "asking the Story API",
    StepKind.DOWNLOAD: "downloading videos",
    StepKind.DELIVER: "deliveries to {}",
    StepKind.NOTIFY: "notices to {}",
    StepKind.PROGRESS: "progress at {}",
    StepKind.ASK: "questions to {}",
}


@dataclass(frozen=True)
class ClaimedStep:
    """A step that this process holds the lease of; `generation` is its fencing token."""

    id: int
    lane: Lane
    story: int | None
    revision: int
    route: str
    generation: int
    attempts: int
    waits: int
    hints: int
    repeat: int
    created_at: datetime
    intent: Intent = Intent.PUBLISH
    reference: Mapping[str, Any] = field(default_factory=dict)
    instead_of: str | None = None
    asked_at: datetime | None = None
    begun_at: datetime | None = None
    trace: str | None = None

    @property
    def wanted_at(self) -> datetime:
        """When somebody last wanted it: equal for all attempts at one message."""
        return self.asked_at or self.created_at

    @property
    def story_key(self) -> int:
        """The ledger's key of its story. Raises StepFailed for a step that belongs to none."""
        if self.story is None:
            raise StepFailed(f"step {self.id} belongs to no story", permanent=True)
        return self.story


@dataclass(frozen=True)
class Opens:
    """An order to open the lane's circuit: why, in one word and for people."""

    reason: str
    message: str


class StepFailed(Exception):
    """The attempt failed. The message is for people.

    `permanent`: the step is dead. `spends`: counts towards the last attempt.
    `retry_after`: seconds that the other side asked for. `opens`: the whole lane has to wait.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        spends: bool = True,
        retry_after: float | None = None,
        opens: Opens | None = None,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.spends = spends
        self.retry_after = retry_after
        self.opens = opens


Record = Callable[[Any, datetime], None]
"""Writes what follows from a step, within the transaction (a ledger connection, the time) that ends it."""


@dataclass(frozen=True)
class Done:
    """The work is done.

    `record` writes what follows from it, in the transaction that ends the step. `reached`: the other side was
    asked, so it works. `state`: DONE, or CANCELLED where what had been done is undone.
    """

    detail: str
    record: Record | None = None
    reference: Mapping[str, Any] | None = None
    url: str | None = None
    remark: str | None = None
    reached: bool = True
    state: StepState = StepState.DONE


@dataclass(frozen=True)
class Later:
    """The other side is not ready: try again after `seconds`, no attempt spent."""

    detail: str
    seconds: float
    record: Record | None = None
    reached: bool = True


class LeaseLost(Exception):
    """Another worker holds the step now; nothing of this attempt may be recorded."""


class Released(Exception):
    """The worker is told to stop: the step goes back, no attempt spent."""
