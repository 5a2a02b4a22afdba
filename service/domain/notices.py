"""What people must be told of: the kinds of notice, and how each is worded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from zoneinfo import ZoneInfo

from service.domain.opening_hours import OpeningHours


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
    DIGEST = "digest"
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
    """A notice to be made. The same `key` is told once. `about` is the destination it speaks of, if any.

    `ends`: the kind of trouble of whose end it tells, None: of no end.
    """

    key: str
    kind: NoticeKind
    title: str
    text: str
    story: int | None = None
    about: str | None = None
    ends: NoticeKind | None = None

    @property
    def group(self) -> str:
        """What is told together: one kind's beginnings, and apart from them its ends."""
        return str(self.kind) if self.ends is None else f"{self.kind}{_OF}{self.ends}"


@dataclass(frozen=True)
class Told:
    """A recorded notice as a destination is told of it. `story_id`: the Story API's, where it concerns a story.

    `remark`: why it is told there, where it would not be otherwise.
    """

    id: int
    kind: str
    title: str
    text: str
    story_id: str | None
    created_at: datetime
    remark: str = ""


def kind_of(group: str) -> str:
    """The kind of trouble that a group of notices begins or ends."""
    return group.partition(ALONE)[0].rpartition(_OF)[2]


_OF = "/"
ALONE = "#"
"""What comes after it in a group's name makes it the group of one notice alone."""


@dataclass(frozen=True)
class Quiet:
    """Hours in which nobody is told; what comes then is told at their end. `loud`: kinds told all the same."""

    hours: OpeningHours
    loud: frozenset[str] = frozenset()

    def until(self, now: datetime, group: str) -> datetime | None:
        """The end of the quiet hours that hold such notices at this moment; None: they may be told."""
        if kind_of(group) in (*self.loud, NoticeKind.DIGEST) or not self.hours.are_open(now):
            return None
        return next(end for end in self._ends(now) if end > now)

    def _ends(self, now: datetime) -> Iterator[datetime]:
        today = now.astimezone(self.hours.zone).date()
        minute = self.hours.hours[0].end
        # on the night when summer time ends the clocks show some times twice: fold 1 is the second time
        for days, fold in ((0, 0), (0, 1), (1, 0)):
            clock = time(minute // 60 % 24, minute % 60, tzinfo=self.hours.zone, fold=fold)
            yield datetime.combine(today + timedelta(days=days), clock).astimezone(now.tzinfo)


@dataclass(frozen=True)
class Digest:
    """When the daily digest comes (`at` by the clocks of `zone`), to whom, and whether of an empty day, too."""

    at: time
    zone: ZoneInfo
    destinations: tuple[str, ...]
    says_nothing_happened: bool = True


@dataclass(frozen=True)
class Audience:
    """Who is told of trouble, as `[notices]` says; falsy where nobody is.

    `fallback`: is told what another could not be told. `every`: a destination hears of one kind so often at most,
    of all that came meanwhile; None: of each by itself. `only`: the kinds that a destination hears; those that are
    not named there hear all.
    """

    destinations: tuple[str, ...] = ()
    fallback: str | None = None
    every: timedelta | None = timedelta(hours=1)
    only: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    quiet: Quiet | None = None
    digest: Digest | None = None

    def __bool__(self) -> bool:
        return bool(self.destinations)

    @property
    def named(self) -> frozenset[str]:
        """All destinations at which somebody may hear of something."""
        digest = self.digest.destinations if self.digest is not None else ()
        fallback = (self.fallback,) if self.fallback is not None else ()
        return frozenset((*self.destinations, *fallback, *digest))

    def hears(self, trouble: Trouble) -> list[str]:
        """The destinations that are told of it: not the one whose trouble it is, where another can be."""
        of_kind = [name for name in self.destinations if trouble.kind in self.only.get(name, KINDS)]
        return [name for name in of_kind if name != trouble.about] or of_kind

    def next_turn(self, last: datetime | None) -> datetime | None:
        """When a destination that was told of a group at `last` may be told again; None: at once."""
        return None if last is None or self.every is None else last + self.every
