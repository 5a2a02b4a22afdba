"""What every call of a destination's place begins and ends with: its turn, its connector, what a failure means."""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from handlers.attempt import Attempt
from service.connectors import Connector
from service.domain.delivery import DeliveryFailed
from service.domain.routing import UnknownRoute, destinations_for
from service.domain.steps import ClaimedStep, Later, Opens, StepFailed
from service.ledger import lanes
from service.pacing import SHORT
from service.wiring import Relay, Sent, Stop, UnknownDestination


def admit(relay: Relay, step: ClaimedStep, attempt: Attempt) -> Later | None:
    """Takes the destination's first token, after a short wait if need be; else says to come back.

    Then the lane is held for so long, so that what waits costs no worker, and no attempt is spent.
    """
    destination = step.lane.destination
    rate = relay.rate(destination)
    if rate is None:
        return None
    wait = relay.pacer.take(destination, rate, SHORT)
    if wait <= SHORT:
        time.sleep(wait)
        attempt.check()
        return None
    with relay.ledger.write() as tx:
        lanes.hold_until(tx, step.lane, relay.now() + timedelta(seconds=wait - SHORT))
    # due at once, so that it keeps its place before those that come later: the lane is what waits
    return Later(f"its turn at {rate} is in {wait:.0f} s", 0.0, reached=False)


def showing(relay: Relay, facts: Mapping[str, Any], pinned: str | None) -> list[str]:
    """The destinations that are to show a story's progress: those of its routes, as far as it is known now."""
    try:
        wanted = destinations_for(relay.configuration.routes, facts, pinned, relay.now())
    except UnknownRoute:
        return []  # the download tells of it
    return [name for name in wanted if relay.shows_progress(name)]


def failure(error: DeliveryFailed) -> StepFailed:
    """What a connector's failure means for the step and for its lane."""
    if error.refused:
        return StepFailed(str(error), spends=False, opens=Opens(lanes.REFUSED, str(error)))
    return StepFailed(str(error), permanent=error.permanent, retry_after=error.retry_after)


def open_connector(
    relay: Relay, destination: str, stop: Stop | None = None, sent: Sent | None = None
) -> Connector:
    """The connector of a configured destination. Raises StepFailed when there is none of that name."""
    try:
        return relay.connector(destination, stop, sent)
    except UnknownDestination as error:
        raise StepFailed(str(error), permanent=True) from error
