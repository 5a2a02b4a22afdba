"""What people must be told of: the kinds of notice, and how each is worded."""

from dataclasses import dataclass
from enum import StrEnum


class NoticeKind(StrEnum):
    """The kinds of trouble."""

    STORY_FAILED = "story_failed"
    STORY_UNKNOWN = "story_unknown"
    STORY_GIVEN_UP = "story_given_up"
    STORY_UNCONFIRMED = "story_unconfirmed"
    DELIVERY_DEAD = "delivery_dead"
    LANE_PAUSED = "lane_paused"
    LANE_OFF = "lane_off"
    LANE_RECOVERED = "lane_recovered"
    WEBHOOKS_MISSED = "webhooks_missed"
    QUEUE_OLD = "queue_old"
    DISK_LOW = "disk_low"
    KEY_REFUSED = "key_refused"
    CREDITS_REFUSED = "credits_refused"
    CREDITS_LOW = "credits_low"
    SCHEDULER_SILENT = "scheduler_silent"
    RESOLVED = "resolved"
    APPROVAL_UNASKED = "approval_unasked"
    APPROVAL_EXPIRED = "approval_expired"


KINDS = tuple(NoticeKind)

LASTING = (
    NoticeKind.LANE_PAUSED,
    NoticeKind.LANE_OFF,
    NoticeKind.WEBHOOKS_MISSED,
    NoticeKind.QUEUE_OLD,
    NoticeKind.DISK_LOW,
    NoticeKind.KEY_REFUSED,
    NoticeKind.CREDITS_REFUSED,
    NoticeKind.CREDITS_LOW,
    NoticeKind.SCHEDULER_SILENT,
)
"""The kinds of trouble that last until they are over; the others happen once."""


@dataclass(frozen=True)
class Trouble:
    """A notice to be made. The same `key` is told once. `about` is the destination it speaks of, if any."""

    key: str
    kind: NoticeKind
    title: str
    text: str
    story: int | None = None
    about: str | None = None
