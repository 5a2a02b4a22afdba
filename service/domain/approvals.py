"""Asking people whether a story may go on, and what they answered."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from service.domain.delivery import Reference, StoryFacts


class ApprovalState(StrEnum):
    """Where a question stands. `SUPERSEDED`: nothing waits for its answer any more."""

    ASKED = "asked"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


ANSWERS = {"approve": ApprovalState.APPROVED, "reject": ApprovalState.REJECTED}
"""What forms and programs say."""


class Through(StrEnum):
    """Where somebody decided."""

    SLACK = "slack"
    MAIL = "mail"
    DASHBOARD = "dashboard"
    API = "api"
    CLOCK = "clock"


@dataclass(frozen=True)
class Decision:
    """What somebody decided, where, and why (may be empty). `remote` is the address it came from, for the audit log."""

    state: ApprovalState
    who: str
    through: Through
    note: str = ""
    remote: str = ""


@dataclass(frozen=True)
class ApprovalTimes:
    """How long a question waits before people are reminded, and before it counts as refused; None: for ever."""

    remind_after: timedelta | None = timedelta(hours=4)
    expire_after: timedelta | None = timedelta(days=3)


@dataclass(frozen=True)
class Question:
    """A question as the destination that is asked shows it.

    `key` is equal for every attempt to ask it, and another one when it is asked anew. `told` says for people how it
    ended, '' while it is open; `version` changes whenever what is shown should be. `reminded`: a reminder is due.
    `button` is a signed text for buttons whose clicks come back to us, `link` the page where anybody who has it may
    decide. `publication` is what the story's own delivery there kept; `reference`, `save` and `check` are as in
    `Publication`.
    """

    story: StoryFacts
    destination: str
    route: str
    waiting: tuple[str, ...]
    key: str
    told: str
    version: str
    reminded: bool
    asked_at: datetime
    expires_at: datetime | None
    button: str
    link: str
    publication: Reference
    reference: Reference
    save: Callable[[Reference], None]
    check: Callable[[], None]

    @property
    def is_open(self) -> bool:
        """Whether an answer is still wanted."""
        return not self.told
