"""Times as people write them on the command line."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from service.cli.output import plain

_AGO = re.compile(r"(\d{1,5})([mhd])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Moment(click.ParamType[datetime]):
    """A date, a date and time (of this machine's time zone where it says none), or how long ago: 90m, 24h, 7d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Returns an aware time in UTC."""
        ago = _AGO.fullmatch(str(value))
        if ago:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        try:
            return datetime.fromisoformat(str(value)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"{plain(value, 40)!r} is no time, such as 2026-03-01, 2026-03-01T18:00 or 24h", param, ctx
            )
