"""The configuration, read and checked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from service.configuration.tables import Network
from service.domain.approvals import ApprovalTimes
from service.domain.notices import Audience
from service.domain.rates import Rate
from service.domain.routing import Route


class ConfigurationError(Exception):
    """The file is wrong; the message names it, each key, what is wrong with it and what would be right."""


@dataclass(frozen=True)
class DestinationConfig:
    """A configured place; `max_in_flight` None: as the settings say.

    `after`: the destinations whose deliveries of the same story come first. `fallback`: the destination that gets
    what this one can't be given. `rate`: how often the place may be called, None: as often as there is work.
    `written`: the options as they stand in the file, `${NAME}` not filled in; for people, by `shown_options`.
    `fingerprint` changes with the options, secrets included, and tells nothing about them; '' without keys.
    """

    name: str
    connector: str
    options: BaseModel = field(repr=False)
    max_in_flight: int | None = None
    after: tuple[str, ...] = ()
    fallback: str | None = None
    rate: Rate | None = None
    fingerprint: str = ""
    written: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Configuration:
    """All of `storyrelay.toml`. `notices`: who is told of trouble. `approval`: how long questions to people wait."""

    outbound_allow: tuple[Network, ...] = ()
    destinations: Mapping[str, DestinationConfig] = field(default_factory=lambda: MappingProxyType({}))
    routes: tuple[Route, ...] = ()
    notices: Audience = field(default_factory=Audience)
    approval: ApprovalTimes = field(default_factory=ApprovalTimes)

    def routed(self, pinned: str | None) -> dict[str, str]:
        """Where routes may lead a story of which nothing is known yet but its pinned route: destination → route."""
        found: dict[str, str] = {}
        for route in self.routes:
            if pinned in (None, route.name):
                for destination in route.leads_to:
                    found.setdefault(destination, route.name)
        return found

    def stand_ins(self, destinations: Iterable[str]) -> list[str]:
        """Those that get what these destinations, or their own stand-ins, can't be given."""
        found: list[str] = []
        waiting = list(destinations)
        while waiting:
            config = self.destinations.get(waiting.pop(0))
            if config is not None and config.fallback is not None and config.fallback not in found:
                found.append(config.fallback)
                waiting.append(config.fallback)
        return found
