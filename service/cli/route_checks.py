"""What `doctor` finds in the routes without asking anybody: destinations that nothing leads to."""

from collections.abc import Iterator

from service.cli.findings import Finding, warn
from service.configuration import Configuration


def check_routes(configuration: Configuration) -> Iterator[Finding]:
    """A destination that no route, no fallback and no notice leads to is a slip, or not needed."""
    if not configuration.routes:
        return  # told of all of them at once
    routed = {name for route in configuration.routes for name in route.destinations}
    fallbacks = {config.fallback for config in configuration.destinations.values()}
    for name in sorted(configuration.destinations.keys() - routed - fallbacks - configuration.notices.named):
        yield warn(
            f"destination {name}",
            "no route leads to it, so that no story comes there",
            f"put {name!r} into the destinations of a route, or take it out",
        )
