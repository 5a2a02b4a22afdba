"""Makes a `Configuration` of a TOML document and finds everything that is wrong with it at once."""

import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from service.configuration.approving import approval_problems
from service.configuration.circles import circles
from service.configuration.conditions import conditions
from service.configuration.hours import opening_hours
from service.configuration.interpolation import Interpolation
from service.configuration.parsed import Configuration, DestinationConfig
from service.configuration.tables import (
    ApprovalTable,
    DestinationTable,
    NoticesTable,
    OutboundTable,
    RouteTable,
    check_name,
)
from service.configuration.telling import audience, telling_problems
from service.connectors import Connector, UnknownConnector
from service.domain.approvals import ApprovalTimes
from service.domain.notices import Audience
from service.domain.routing import Condition, Route
from service.problems import Problem, hint, problems_of, unknown_name
from service.signing import fingerprint

Model = TypeVar("Model", bound=BaseModel)
Connectors = Callable[[str], type[Connector]]
Table = dict[str, Any]

_SECTIONS = ("outbound", "destinations", "routes", "notices", "approval")
_OF_ALL = tuple(DestinationTable.model_fields)


class Reading:
    """One pass over a document, which goes on after a problem."""

    def __init__(self, keys: tuple[SecretStr, ...], env: Mapping[str, str], connectors: Connectors) -> None:
        self._keys = keys
        self._connectors = connectors
        self._texts = Interpolation(env)
        self._problems: list[Problem] = []
        self._declared: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        """What is wrong so far, for people."""
        return [self._texts.hide(str(problem)) for problem in (*self._texts.problems, *self._problems)]

    def configuration(self, document: Table) -> Configuration:
        """Reads all sections; what is wrong is left out and told by `problems`."""
        for name in sorted(document.keys() - set(_SECTIONS)):
            self._add(name, unknown_name(name, _SECTIONS))
        destinations = self._section(document, "destinations", dict)
        self._declared = tuple(destinations)
        outbound = self._read(OutboundTable, self._section(document, "outbound", dict), "outbound")
        notices = self._read(NoticesTable, self._section(document, "notices", dict), "notices")
        approval = self._read(ApprovalTable, self._section(document, "approval", dict), "approval")
        self._problems += telling_problems(notices, self._declared) if notices else ()
        configs = self._destinations(destinations)
        routes = self._routes(self._section(document, "routes", list))
        self._problems += approval_problems(routes, configs, self._connectors)
        return Configuration(
            outbound_allow=outbound.allow if outbound else (),
            destinations=configs,
            routes=routes,
            approval=ApprovalTimes(**dict(approval)) if approval else ApprovalTimes(),
            notices=audience(notices) if notices else Audience(),
        )

    def _destinations(self, tables: Table) -> Mapping[str, DestinationConfig]:
        found = (self._destination(name, table) for name, table in tables.items())
        configs = {config.name: config for config in found if config is not None}
        self._check_circles("after", {name: config.after for name, config in configs.items()})
        self._check_circles(
            "fallback",
            {name: (config.fallback,) for name, config in configs.items() if config.fallback is not None},
        )
        return MappingProxyType(configs)

    def _check_circles(self, key: str, leads_to: Mapping[str, tuple[str, ...]]) -> None:
        for first, *others in circles(leads_to):
            way = " → ".join((first, *others, first))
            text = f"goes round in a circle: {way}" if others else f"{first!r} can't be its own"
            self._add(f"destinations.{first}.{key}", text)

    def _destination(self, name: str, table: Any) -> DestinationConfig | None:
        at = f"destinations.{name}"
        filled = self._filled(table, at)
        if filled is None:
            return None
        try:
            check_name(name)
        except ValueError as error:
            self._add(at, str(error))
        common = self._valid(DestinationTable, {key: filled.pop(key) for key in _OF_ALL if key in filled}, at)
        connector = self._connector(common.connector, at) if common else None
        if common is None or connector is None:
            return None
        options = self._valid(connector.Options, filled, at, also=_OF_ALL)
        if options is None:
            return None
        return DestinationConfig(
            name=name,
            connector=common.connector,
            options=options,
            max_in_flight=common.max_in_flight,
            after=self._known(common.after, f"{at}.after"),
            fallback=self._known_or_none(common.fallback, f"{at}.fallback"),
            rate=common.rate,
            fingerprint=self._fingerprint(common.connector, filled),
            written={key: value for key, value in table.items() if key not in _OF_ALL},
        )

    def _connector(self, name: str, at: str) -> type[Connector] | None:
        try:
            return self._connectors(name)
        except UnknownConnector as error:
            self._add(f"{at}.connector", str(error))
        except (ImportError, AttributeError) as error:
            self._add(f"{at}.connector", f"{name!r} is installed but can't be loaded: {error}")
        return None

    def _fingerprint(self, connector: str, options: Table) -> str:
        # of the options as written: what pydantic made of them may have no stable text
        return fingerprint(
            self._keys, "destination", connector, json.dumps(options, sort_keys=True, default=str)
        )

    def _routes(self, tables: list[Any]) -> tuple[Route, ...]:
        found: dict[str, Route] = {}
        for number, table in enumerate(tables, 1):
            route = self._route(table, number)
            if route is not None and route.name in found:
                self._add(
                    f"routes.{route.name}",
                    f"there are two routes of this name; the second is number {number}",
                )
            elif route is not None:
                found[route.name] = route
        return tuple(found.values())

    def _route(self, table: Any, number: int) -> Route | None:
        name = table.get("name") if isinstance(table, dict) else None
        at = f"routes.{name[:80]}" if isinstance(name, str) and name else f"routes (number {number})"
        read = self._read(RouteTable, table, at)
        if read is None:
            return None
        found = list(conditions(read.when, f"{at}.when"))
        hours, wrong = opening_hours(read.when, f"{at}.when")
        self._problems.extend([*(item for item in found if isinstance(item, Problem)), *wrong])
        return Route(
            name=read.name,
            when=tuple(item for item in found if isinstance(item, Condition)),
            destinations=self._known(read.destinations, f"{at}.destinations"),
            token_version=read.token_version,
            open=hours,
            approval=self._known_or_none(read.approval, f"{at}.approval"),
        )

    def _known(self, destinations: tuple[str, ...], at: str) -> tuple[str, ...]:
        for name in destinations:
            if name not in self._declared:
                self._add(at, f"there is no destination {name[:80]!r}{hint(name, self._declared)}")
        return tuple(dict.fromkeys(destinations))

    def _known_or_none(self, destination: str | None, at: str) -> str | None:
        return None if destination is None else self._known((destination,), at)[0]

    def _section(self, document: Table, name: str, kind: type) -> Any:
        value = document.get(name, kind())
        if isinstance(value, kind):
            return value
        self._add(name, "should be tables: [[routes]]" if kind is list else f"should be a table: [{name}]")
        return kind()

    def _read(self, model: type[Model], table: Any, at: str) -> Model | None:
        filled = self._filled(table, at)
        return None if filled is None else self._valid(model, filled, at)

    def _filled(self, table: Any, at: str) -> Table | None:
        if not isinstance(table, dict):
            self._add(at, "should be a table")
            return None
        filled: Table = self._texts.fill(table, at)
        return filled

    def _valid(self, model: type[Model], table: Table, at: str, also: Iterable[str] = ()) -> Model | None:
        try:
            return model.model_validate(table)
        except ValidationError as error:
            missing = {problem.at for problem in self._texts.problems}
            found = problems_of(error, model, at, also=also, hides=self._texts.has_filled)
            self._problems.extend(problem for problem in found if problem.at not in missing)
            return None

    def _add(self, at: str, text: str) -> None:
        self._problems.append(Problem(at, text))
