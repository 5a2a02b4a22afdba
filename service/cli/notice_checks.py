"""What `doctor` tells of who hears of trouble, and when."""

from collections.abc import Iterator

from service.cli.findings import Finding, ok, warn
from service.configuration import Configuration
from service.connectors import can_notify, connector_class
from service.domain.notices import Audience
from service.domain.spoken_time import lasted

_MANY = 3
"""So many kinds are named; of more, their number."""


def check_notices(configuration: Configuration) -> Iterator[Finding]:
    """In words what `[notices]` says; a warning where nobody hears of anything."""
    if not configuration.destinations:
        return  # told of by itself
    audience = configuration.notices
    if not audience:
        yield warn(
            "notices",
            "nobody is told of trouble: the dashboard and the log alone show it",
            'put a destination\'s name into storyrelay.toml: [notices] destinations = ["NAME"]',
        )
        return
    yield ok("notices", "; ".join(filter(None, (_who(audience), _how_often(audience), _quiet(audience)))))
    yield from _silent(configuration)
    if audience.digest is not None:
        digest = audience.digest
        names, at = " and ".join(digest.destinations), f"{digest.at:%H:%M} in {digest.zone.key}"
        empty = "" if digest.says_nothing_happened else ", but of no empty day"
        yield ok("digest", f"daily at {at}, to {names}, of the day before{empty}")


def _silent(configuration: Configuration) -> Iterator[Finding]:
    audience = configuration.notices
    fallback = () if audience.fallback is None else (audience.fallback,)
    digest = audience.digest.destinations if audience.digest is not None else ()
    for name in dict.fromkeys((*audience.destinations, *fallback, *digest)):
        place = configuration.destinations[name]
        if not can_notify(connector_class(place.connector)):
            yield warn(
                "notices",
                f"{name} can't tell anybody of trouble: its connector is {place.connector}",
                "name a destination with slack, email, apprise, webhook or archive under [notices]",
            )


def _who(audience: Audience) -> str:
    told = [f"{name} is told of {_kinds(audience, name)}" for name in audience.destinations]
    fallback = f", {audience.fallback} of what can't be told there" if audience.fallback is not None else ""
    return ", ".join(told) + fallback


def _kinds(audience: Audience, name: str) -> str:
    only = audience.only.get(name)
    if only is None:
        return "all kinds of trouble"
    return " and ".join(sorted(only)) if len(only) <= _MANY else f"{len(only)} kinds of trouble"


def _how_often(audience: Audience) -> str:
    if audience.every is None:
        return "of each by itself"
    return f"of one kind once in {lasted(audience.every.total_seconds())}"


def _quiet(audience: Audience) -> str:
    if audience.quiet is None:
        return ""
    loud = f", but for {' and '.join(sorted(audience.quiet.loud))}" if audience.quiet.loud else ""
    return f"not within {audience.quiet.hours}{loud}"
