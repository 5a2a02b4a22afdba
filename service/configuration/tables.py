"""The tables of `storyrelay.toml`, as people write them."""

import ipaddress
import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from service.domain.rates import Rate, parse_rate
from service.domain.routing import STORY_FIELDS, Condition, Scalar, holds
from service.problems import Problem, hint
from service.story_api import KINDS, StoryStatus, vocabulary

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_CLOSED: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("aspect_ratio",): get_args(vocabulary.AspectRatio),
    ("language",): get_args(vocabulary.Language),
    ("kind",): tuple(KINDS),
    ("status",): tuple(StoryStatus),
}
"""Fields of which the Story API names every value: a pattern that matches none would never match, silently."""

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


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class OutboundTable(_Table):
    """`[outbound]`: private networks that addresses from stories may lead to."""

    allow: tuple[Annotated[Network, BeforeValidator(_network)], ...] = ()


class NoticesTable(_Table):
    """`[notices]`: where people are told of trouble."""

    destinations: tuple[str, ...] = ()


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
    token_version: Annotated[int, Field(ge=1, le=1_000_000)] = 1


def conditions(
    when: Mapping[str, Any], at: str, parents: tuple[str, ...] = ()
) -> Iterator[Condition | Problem]:
    """Yields the conditions of a route's `when`; nested tables become paths. What is wrong comes as a Problem."""
    for key, value in when.items():
        path, here = (*parents, key), f"{at}.{key}"
        if not parents and key not in STORY_FIELDS and hint(key, STORY_FIELDS):
            # other fields may exist, but one that is nearly a known one is a slip that would match nothing, silently
            yield Problem(here, f"there is no such field of a story{hint(key, STORY_FIELDS)}")
        elif isinstance(value, dict):
            yield from conditions(value, here, path)
        else:
            yield _condition(value, here, path)


def _condition(value: Any, at: str, path: tuple[str, ...]) -> Condition | Problem:
    wanted = value if isinstance(value, list) else [value]
    if not wanted or not all(_is_comparable(item) for item in wanted):
        return Problem(at, "should be a text, a number, true or false, or a list of these")
    return _impossible(wanted, at, path) or Condition(path, tuple(wanted))


def _impossible(wanted: list[Scalar], at: str, path: tuple[str, ...]) -> Problem | None:
    words = _CLOSED.get(path)
    if words is None:
        return None
    for item in wanted:
        if not any(holds(Condition(path, (item,)), {path[0]: word}) for word in words):
            near = hint(str(item), words)
            return Problem(at, f"no story has {str(item)[:80]!r}{near}; there are {', '.join(words)}")
    return None


def _is_comparable(value: Any) -> bool:
    return isinstance(value, Scalar) and not (isinstance(value, float) and math.isnan(value))
