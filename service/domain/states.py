"""The words of the ledger: what a story, a step, an attempt and a receipt can be."""

from enum import StrEnum


class StoryState(StrEnum):
    """Where a story stands. `UNCONFIRMED`: the submit call got no answer."""

    SUBMITTING = "submitting"
    UNCONFIRMED = "unconfirmed"
    OPEN = "open"
    SETTLING = "settling"
    SETTLED = "settled"
    FAILED = "failed"
    UNKNOWN = "unknown"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"


UNFINISHED_STORIES = (StoryState.SUBMITTING, StoryState.UNCONFIRMED, StoryState.OPEN, StoryState.SETTLING)
"""Stories that still need something to happen."""


class Origin(StrEnum):
    """How we came to know a story."""

    SUBMITTED = "submitted"
    TRACKED = "tracked"
    WEBHOOK = "webhook"


class NoticedBy(StrEnum):
    """What first told us that a story was finished."""

    WEBHOOK = "webhook"
    POLL = "poll"


class StepKind(StrEnum):
    """The kinds of work; each has a queue of its own by its name, but progress and questions go with the notices."""

    FETCH = "fetch"
    DOWNLOAD = "download"
    DELIVER = "deliver"
    NOTIFY = "notify"
    PROGRESS = "progress"
    ASK = "ask"

    @property
    def queue(self) -> "StepKind":
        """The kind whose queue and workers it has."""
        return StepKind.NOTIFY if self in (StepKind.PROGRESS, StepKind.ASK) else self


class Intent(StrEnum):
    """What a delivery is to do at its destination."""

    PUBLISH = "publish"
    WITHDRAW = "withdraw"


class StepState(StrEnum):
    """Where a step stands. `DEAD`: given up, a person may replay it. `CANCELLED`: withdrawn, or never begun."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"


ENDED_STEPS = (StepState.DONE, StepState.DEAD, StepState.CANCELLED)
BUSY_STEPS = (StepState.QUEUED, StepState.RUNNING)


class Outcome(StrEnum):
    """How an attempt ended. `LOST`: its worker died; `WAITED`: the other side was not ready yet."""

    RUNNING = "running"
    DONE = "done"
    WAITED = "waited"
    RETRY = "retry"
    DEAD = "dead"
    RELEASED = "released"
    LOST = "lost"


class Verdict(StrEnum):
    """What a receipt turned out to be."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    MISMATCH = "mismatch"
    UNMATCHED = "unmatched"
    MALFORMED = "malformed"


class Circuit(StrEnum):
    """`OPEN`: only probes pass; `OFF`: nothing passes until a person says so."""

    CLOSED = "closed"
    OPEN = "open"
    OFF = "off"
