"""The tables of `storyrelay.toml`, as people write them."""

import ipaddress
import re
from datetime import time, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from service.configuration.hours import zone
from service.domain.approvals import ApprovalTimes
from service.domain.notices import KINDS, Audience
from service.domain.rates import Rate, parse_rate
from service.problems import hint

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_WAIT = re.compile(r"(\d{1,5}) ?(s|min|h|d)", re.ASCII)
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")


def check_name(name: str) -> str:
    """Names stand in URLs, logs and commands: returns a good one, raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            "should be a name of a-z, 0-9, _ and -, of at most 41 characters, no _ or - at its start"
        )
    return name


def _network(value: Any) -> Network:
    if not isinstance(value, str):
        raise ValueError("should be a network, such as '10.0.0.0/8'")  # noqa: TRY004 - pydantic reports ValueError
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        raise ValueError(f"should be a network, such as '10.0.0.0/8'{_meant(value)}") from None


def _meant(value: str) -> str:
    try:
        return f" (did you mean '{ipaddress.ip_network(value, strict=False)}'?)"
    except ValueError:
        return ""


def _rate(value: Any) -> Rate:
    return parse_rate(value if isinstance(value, str) else "")


def _wait(value: Any) -> timedelta | None:
    if value == 0 or value == "0":
        return None
    found = _WAIT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("should be a time such as '30min', '4h' or '3d', or '0' for never")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]]) or None


def _clock(value: Any) -> time:
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("should be a time of day, such as '08:00' or '22:30'")
    return time(int(found[1]), int(found[2]))


def _kinds(names: tuple[str, ...]) -> tuple[str, ...]:
    kinds = [str(kind) for kind in KINDS]
    for name in names:
        if name not in kinds:
            raise ValueError(
                f"there is no kind of notice {name[:80]!r}{hint(name, kinds)}; there are {', '.join(kinds)}"
            )
    return names


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class OutboundTable(_Table):
    """`[outbound]`: private networks that addresses from stories may lead to."""

    allow: tuple[Annotated[Network, BeforeValidator(_network)], ...] = ()


class QuietTable(_Table):
    """`[notices.quiet]`: hours in which nobody is told."""

    start: Annotated[time, BeforeValidator(_clock)] = Field(validation_alias="from")
    end: Annotated[time, BeforeValidator(_clock)] = Field(validation_alias="to")
    timezone: Annotated[ZoneInfo, BeforeValidator(zone)]
    loud: Annotated[tuple[str, ...], AfterValidator(_kinds)] = Field((), validation_alias="except")


class DigestTable(_Table):
    """`[notices.digest]`: one message a day about the day before."""

    at: Annotated[time, BeforeValidator(_clock)]
    timezone: Annotated[ZoneInfo, BeforeValidator(zone)]
    destinations: Annotated[tuple[str, ...], Field(min_length=1)]
    when_empty: Literal["say", "skip"] = "say"


class NoticesTable(_Table):
    """`[notices]`: where people are told of trouble, and how often."""

    destinations: tuple[str, ...] = ()
    fallback: str | None = None
    every: Annotated[timedelta | None, BeforeValidator(_wait)] = Audience.every
    only: dict[str, Annotated[tuple[str, ...], AfterValidator(_kinds), Field(min_length=1)]] = {}
    quiet: QuietTable | None = None
    digest: DigestTable | None = None


class ApprovalTable(_Table):
    """`[approval]`: how long questions wait, None: for ever."""

    remind_after: Annotated[timedelta | None, BeforeValidator(_wait)] = ApprovalTimes.remind_after
    expire_after: Annotated[timedelta | None, BeforeValidator(_wait)] = ApprovalTimes.expire_after


class DestinationTable(_Table):
    """What every `[destinations.NAME]` has; the rest are its connector's options."""

    connector: str
    max_in_flight: Annotated[int, Field(ge=1, le=1000)] | None = None
    after: tuple[str, ...] = ()
    fallback: str | None = None
    rate: Annotated[Rate, BeforeValidator(_rate)] | None = None


class RouteTable(_Table):
    """One `[[routes]]`."""

    name: Annotated[str, AfterValidator(check_name)]
    destinations: Annotated[tuple[str, ...], Field(min_length=1)]
    when: dict[str, Any] = {}
    approval: str | None = None
    token_version: Annotated[int, Field(ge=1, le=1_000_000)] = 1
