"""The hours of the week in which a route is open."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES = 24 * 60


@dataclass(frozen=True)
class Hours:
    """From minute `start` of a day to before minute `end`; an end that is not after the start is on the next day."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{_clock(self.start)}-{_clock(self.end)}"


ALL_DAY = Hours(0, MINUTES)


@dataclass(frozen=True)
class OpeningHours:
    """By the clocks of `zone`, so with its summer time: any of `hours` on any of `days` (0 is Monday).

    Hours that go past midnight belong to the day on which they begin.
    """

    zone: ZoneInfo
    days: frozenset[int] = frozenset(range(7))
    hours: tuple[Hours, ...] = (ALL_DAY,)

    def are_open(self, now: datetime) -> bool:
        """Whether they are open at this moment (aware)."""
        local = now.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        return any(day in self.days for hours in self.hours for day in _began(hours, local.weekday(), minute))

    def moment(self, now: datetime) -> str:
        """The moment as the clocks there show it: `Fri 23:30 in Europe/Berlin`."""
        local = now.astimezone(self.zone)
        return f"{DAYS[local.weekday()]} {local:%H:%M} in {self.zone.key}"

    def __str__(self) -> str:
        days = "" if len(self.days) == len(DAYS) else ", ".join(DAYS[day] for day in sorted(self.days)) + " "
        return f"{days}{', '.join(map(str, self.hours))} in {self.zone.key}"


def _began(hours: Hours, weekday: int, minute: int) -> Iterator[int]:
    """The weekdays on which hours began that are still open at this minute of this weekday."""
    if hours.start < hours.end:
        if hours.start <= minute < hours.end:
            yield weekday
        return
    if minute >= hours.start:
        yield weekday
    if minute < hours.end:
        yield (weekday - 1) % len(DAYS)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
