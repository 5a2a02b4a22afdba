"""Finds routes whose question nobody could be asked, or for whose answer nothing would wait."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from service.configuration.parsed import DestinationConfig
from service.connectors import Connector, can_ask
from service.domain.routing import Route
from service.problems import Problem


def approval_problems(
    routes: Sequence[Route],
    destinations: Mapping[str, DestinationConfig],
    connectors: Callable[[str], type[Connector]],
) -> list[Problem]:
    """What is wrong with each route's `approval`, in a sentence."""
    return [
        Problem(f"routes.{route.name}.approval", text)
        for route in routes
        if route.approval is not None and route.approval in destinations
        for text in _wrong(route, destinations[route.approval], destinations, connectors)
    ]


def _wrong(
    route: Route,
    asked: DestinationConfig,
    destinations: Mapping[str, DestinationConfig],
    connectors: Callable[[str], type[Connector]],
) -> Iterator[str]:
    held = {name for name in route.destinations if route.asks_for(name)}
    if not can_ask(connectors(asked.connector)):
        yield f"{asked.name!r} can't ask anybody: its connector is {asked.connector}; name one with slack or email"
    if not held:
        yield "nothing waits for the answer: name another destination in the route's destinations"
    first = sorted(held & _comes_before(asked, destinations))
    if first:
        yield (
            f"{asked.name!r} waits for {first[0]} (after), which waits for the answer that is asked of {asked.name!r}"
        )


def _comes_before(config: DestinationConfig, destinations: Mapping[str, DestinationConfig]) -> set[str]:
    found: set[str] = set()
    waiting = list(config.after)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += destinations[name].after if name in destinations else ()
    return found
