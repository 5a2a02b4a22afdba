"""Reads `hours`, `days` and `timezone` of a route's `when`."""

import re
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from service.domain.opening_hours import ALL_DAY, DAYS, MINUTES, Hours, OpeningHours
from service.problems import Problem, hint

Value = TypeVar("Value")

_HOURS = re.compile(r"\s*(\d\d?):([0-5]\d)\s*-\s*(\d\d?):([0-5]\d)\s*", re.ASCII)
_EVERY_DAY = frozenset(range(len(DAYS)))


def opening_hours(when: Mapping[str, Any], at: str) -> tuple[OpeningHours | None, list[Problem]]:
    """The hours in which the route is open, None: always or not readable; and what is wrong with them."""
    if not {"hours", "days", "timezone"} & when.keys():
        return None, []
    if not {"hours", "days"} & when.keys():
        return None, [Problem(f"{at}.timezone", "says nothing without hours or days")]
    problems: list[Problem] = []

    def read(key: str, reader: Callable[[Any], Value]) -> Value | None:
        try:
            return reader(when.get(key))
        except ValueError as error:
            problems.append(Problem(f"{at}.{key}", str(error)))
            return None

    hours, days, there = read("hours", _hours), read("days", _days), read("timezone", zone)
    if hours is None or days is None or there is None:
        return None, problems
    return OpeningHours(there, days, hours), []


def _hours(value: Any) -> tuple[Hours, ...]:
    return (ALL_DAY,) if value is None else tuple(map(_from_to, _texts(value, "such as '08:00-18:00'")))


def _from_to(text: str) -> Hours:
    found = _HOURS.fullmatch(text)
    start, end = (int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])) if found else (0, 0)
    if found is None or start >= MINUTES or end > MINUTES:
        raise ValueError(
            f"should be hours of a day, such as '08:00-18:00' or '22:00-06:00', not {text[:80]!r}"
        )
    if start == end:
        raise ValueError(f"{text[:80]!r} ends where it begins; the whole day is '00:00-24:00'")
    return Hours(start, end)


def _days(value: Any) -> frozenset[int]:
    if value is None:
        return _EVERY_DAY
    return frozenset().union(*map(_day_or_days, _texts(value, "such as 'mon', 'fri', or 'mon-fri'")))


def _day_or_days(text: str) -> frozenset[int]:
    first, dash, last = text.partition("-")
    start = _day(first)
    end = _day(last) if dash else start
    # from Friday to Monday goes over the week's end
    return frozenset((start + more) % len(DAYS) for more in range((end - start) % len(DAYS) + 1))


def _day(text: str) -> int:
    name = text.strip().lower()
    if name not in DAYS:
        raise ValueError(
            f"there is no day {text.strip()[:80]!r}{hint(name, DAYS)}; there are {', '.join(DAYS)}"
        )
    return DAYS.index(name)


def zone(value: Any) -> zoneinfo.ZoneInfo:
    """The timezone of this name. Raises ValueError."""
    if value is None:
        raise ValueError("is missing: whose clocks? Such as 'Europe/Berlin' or 'UTC'")
    if not isinstance(value, str):
        raise ValueError("should be a text, such as 'Europe/Berlin' or 'UTC'")  # noqa: TRY004 - a problem of the file
    # asked by name of those there are: one in other letters' case is found on some file systems, and not on others
    zones = zoneinfo.available_timezones()
    if value not in zones:
        raise ValueError(
            f"there is no timezone {value[:80]!r}{hint(value, zones)}; such as 'Europe/Berlin' or 'UTC'"
        )
    return zoneinfo.ZoneInfo(value)


def _texts(value: Any, such: str) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(item, str) for item in listed):
        raise ValueError(f"should be a text, {such}, or a list of these")
    return listed
