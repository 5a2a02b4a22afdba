"""Watches what fails slowly: work that waits, webhooks that stay away, disks that fill up, credits that run out."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from service import disk_room
from service.disk_room import Room
from service.domain.notices import NoticeKind, Trouble
from service.domain.spoken_time import lasted
from service.ledger import reports, steps, stories, troubles
from service.story_api import CREDITS_PER_DOLLAR
from service.wiring import Relay

log = structlog.get_logger()

MISSED_WINDOW = timedelta(hours=24)
MISSED_PAUSE = timedelta(minutes=5)
MISSED_LEAST = 10
"""Webhooks count as missed, and as arriving again, only by the share among at least so many finished stories."""

CALM = 0.5
"""They arrive again where at most so much of that share is missed: the trouble would come and go otherwise."""

CREDITS_PAUSE = timedelta(minutes=1)
NOTICED, SPENT = "level", "budget"


@dataclass(frozen=True)
class TroubleWatch:
    """Any number may watch at once: a trouble is opened by one of them and closed by one."""

    relay: Relay

    def look(self) -> None:
        """Opens the troubles that began and closes those that are over. Raises OSError."""
        now = self.relay.now()
        self._queue(now)
        self._credits(now)
        self._disks(now)

    def webhooks(self) -> None:
        """Looks every few minutes whether the Story API's webhooks arrive."""
        now = self.relay.now()
        if self._is_turn("watch-webhooks", MISSED_PAUSE, now):
            since = self._opened_at(NoticeKind.WEBHOOKS_MISSED)
            if since is None:
                self._webhooks_missed(now)
            else:
                self._webhooks_again(since, now)

    def _webhooks_missed(self, now: datetime) -> None:
        settings = self.relay.settings
        with self.relay.ledger.read() as tx:  # counted beside SQLite's one writer, for whom webhooks wait
            over = troubles.last_end(tx, NoticeKind.WEBHOOKS_MISSED)
            since = max(now - MISSED_WINDOW, over or now - MISSED_WINDOW)
            finished, missed = stories.missed_webhooks(tx, since)
        if finished < MISSED_LEAST or missed <= settings.missed_webhook_share * finished:
            return
        trouble = Trouble(
            key="",
            kind=NoticeKind.WEBHOOKS_MISSED,
            title="Webhooks do not arrive",
            text=f"No webhook came for {missed} of the {finished} submissions that finished within a day. "
            f"Is {settings.public_url} reachable from outside? Until then polls find finished stories, minutes later.",
        )
        if self._begins(trouble, now):
            log.error("webhooks.missed", finished=finished, missed=missed)

    def _webhooks_again(self, since: datetime, now: datetime) -> None:
        with self.relay.ledger.read() as tx:
            finished, missed = stories.missed_of_newest(tx, since, MISSED_LEAST)
        if finished == MISSED_LEAST and missed <= CALM * self.relay.settings.missed_webhook_share * finished:
            self._over(NoticeKind.WEBHOOKS_MISSED, now)

    def _queue(self, now: datetime) -> None:
        limit = self.relay.settings.queue_old_seconds
        with self.relay.ledger.read() as tx:  # looked for beside SQLite's one writer, for whom webhooks wait
            oldest = steps.oldest_due(tx, now)
        if oldest is None or oldest > now - timedelta(seconds=limit):
            self._over(NoticeKind.QUEUE_OLD, now)
            return
        waits = lasted((now - oldest).total_seconds())
        trouble = Trouble(
            key="",
            kind=NoticeKind.QUEUE_OLD,
            title="Work waits for too long",
            text=f"The oldest step has been due for {waits}. Do the workers run, and is the queue reachable? "
            "`storyrelay doctor` says what is wrong.",
        )
        self._begins(trouble, now)

    def _disks(self, now: datetime) -> None:
        found = {room.name: room for room in disk_room.rooms(self.relay.settings)}
        for name in disk_room.NAMES:
            room = found.get(name)
            if room is not None and room.is_low:
                self._begins(_full(room), now, name)
            elif room is None or room.is_well:
                self._over(NoticeKind.DISK_LOW, now, name)

    def _credits(self, now: datetime) -> None:
        settings = self.relay.settings
        if not self._is_turn("watch-credits", CREDITS_PAUSE, now):
            return
        month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        budget = settings.credits_budget
        with self.relay.ledger.read() as tx:
            used = stories.credits_used(tx, month) if budget is not None else 0.0
        spent = budget is not None and used >= budget
        noticed = budget is not None and used >= budget * settings.credits_notice_share and not spent
        for about, there in ((NOTICED, noticed), (SPENT, spent)):
            if there and budget is not None:
                self._begins(_dear(about, used, budget, now), now, about)
            else:
                # at its end the first warning gives way to the second
                self._over(NoticeKind.CREDITS_LOW, now, about, quietly=spent)

    def _is_turn(self, name: str, pause: timedelta, now: datetime) -> bool:
        with self.relay.ledger.read() as tx:  # most looks end here, and leave SQLite's one writer alone
            if _is_recent(reports.last_beat(tx, name), pause, now):
                return False
        with self.relay.ledger.write() as tx:
            if _is_recent(reports.last_beat(tx, name), pause, now):
                return False
            reports.beat(tx, name, now)
        return True

    def _begins(self, trouble: Trouble, now: datetime, about: str = "") -> bool:
        if self._opened_at(trouble.kind, about) is not None:
            return False
        with self.relay.ledger.write() as tx:
            began = troubles.begin(tx, trouble, self.relay.configuration.notices, now, about)
        if began:
            log.error("trouble.began", kind=trouble.kind, about=about)
        return began

    def _over(self, kind: NoticeKind, now: datetime, about: str = "", *, quietly: bool = False) -> None:
        if self._opened_at(kind, about) is None:
            return
        with self.relay.ledger.write() as tx:
            ended = troubles.end(tx, kind, now, about, quietly=quietly)
        if ended:
            log.info("trouble.over", kind=kind, about=about)

    def _opened_at(self, kind: NoticeKind, about: str = "") -> datetime | None:
        with self.relay.ledger.read() as tx:
            return troubles.opened_at(tx, kind, about)


def _is_recent(last: datetime | None, pause: timedelta, now: datetime) -> bool:
    return last is not None and now - last < pause


def _full(room: Room) -> Trouble:
    where = " and ".join(map(str, room.folders))
    advice = {
        disk_room.VIDEO_STORE: "Make room, or set VIDEO_STORE to another place.",
        disk_room.LEDGER: "Make room: a ledger that can't be written takes no webhooks, and nothing goes on.",
        disk_room.VAR: "Make room: downloads, keys and files on their way lie there.",
    }
    shared = ", ".join(f"the {name}" if name != disk_room.VAR else "var/" for name in room.names)
    return Trouble(
        key="",
        kind=NoticeKind.DISK_LOW,
        title=f"The {room.name} is nearly full"
        if room.name != disk_room.VAR
        else "The disk of var/ is nearly full",
        text=f"{where}: {room.free / 2**30:.1f} GiB left of the {room.wanted / 2**30:.1f} GiB that {shared} may need. "
        + " ".join(advice[name] for name in room.names[:2]),
    )


def _dear(about: str, used: float, budget: int, now: datetime) -> Trouble:
    share = f"{used:,.0f} of the {budget:,} credits for {now:%B %Y} are used, {used / budget:.0%}, "
    dollars = f"about US${used / CREDITS_PER_DOLLAR:,.2f}"
    own = "That is our own count of what the Story API charged for the stories of this ledger."
    held = "Nothing is held back: stories are still asked for. Set STORYRELAY_CREDITS_BUDGET, or submit less."
    title = "The month's credits are used up" if about == SPENT else "The month's credits run low"
    return Trouble(key="", kind=NoticeKind.CREDITS_LOW, title=title, text=f"{share}{dollars}. {own} {held}")
