"""The progress step: shows people how a story gets on, where a destination is asked to."""

from collections.abc import Iterator, Mapping
from datetime import datetime

import sqlalchemy as sa
import structlog

from handlers.attempt import Attempt
from handlers.places import admit, failure, open_connector
from handlers.publications import progress_of
from service.connectors import progressive
from service.domain.delivery import DeliveryFailed
from service.domain.progress import HALF, Line
from service.domain.states import StepState, StoryState
from service.domain.steps import ClaimedStep, Done, Later
from service.ledger import progress_steps
from service.ledger.progress_steps import Shown
from service.ledger.stories import StoryRow
from service.wiring import Relay

log = structlog.get_logger()

MOST_LINES = 5

_ENDED = {
    StoryState.FAILED: "Failed",
    StoryState.UNKNOWN: "Not known to the Story API",
    StoryState.GIVEN_UP: "Given up",
    StoryState.CANCELLED: "Cancelled",
}


def work(relay: Relay, step: ClaimedStep, attempt: Attempt) -> Done | Later:
    """Shows how the story stands. Raises StepFailed."""
    row = attempt.story()
    destination = step.lane.destination
    with relay.ledger.read() as tx:
        known = progress_steps.deliveries(tx, row.id)
    own = known.get(destination)
    if own is not None and own.withdrawn and own.called:
        return Done("it was taken back from here", reached=False)
    later = admit(relay, step, attempt)
    if later is not None:
        return later
    told_by_notices = destination in relay.configuration.notices.destinations
    lines = tuple(_lines(row, destination, known, dead=not told_by_notices))[:MOST_LINES]
    progress = progress_of(relay, step, row, attempt, (_headline(row, own), lines), own)
    try:
        connector = progressive(open_connector(relay, destination, attempt.stop_reason))
        if connector is None:
            return Done("it shows no progress any more", reached=False)
        shown = connector.show_progress(progress)
    except DeliveryFailed as error:
        attempt.check()
        raise failure(error) from error
    said = shown.remark or progress.headline
    return Done(said, reference=shown.reference, url=shown.url, remark=shown.remark or None)


def dead(relay: Relay, tx: sa.Connection, step: ClaimedStep, message: str, now: datetime) -> None:
    """Says in the log that nobody saw it: the story itself is not held up."""
    del relay, tx, now
    log.warning("progress.unshown", step=step.id, destination=step.lane.destination, error=message)


def _headline(row: StoryRow, own: Shown | None) -> str:
    if row.state in _ENDED:
        return f"{_ENDED[row.state]}: {row.message or 'no reason is known'}"
    if own is not None and own.withdrawn:
        return "Withdrawn before it was published here"
    if row.state == StoryState.SETTLED and own is None:
        return "Finished. By its routes it is not published here"
    if row.revision > 0:
        return "Made. Its video is on the way here"
    return "Being made"


def _lines(row: StoryRow, here: str, known: Mapping[str, Shown], *, dead: bool) -> Iterator[Line]:
    if row.revision == 0 and row.state == StoryState.OPEN and (row.progress or 0) >= HALF:
        yield Line("half", f"{row.progress} % done")
    begun = here in known and known[here].begun
    if row.revision == 1 and row.state == StoryState.SETTLING and not begun:
        yield Line("made", "The video is made and being downloaded")
    if row.revision > 1:
        yield Line(f"made-{row.revision}", f"A new video was made: revision {row.revision}")
    if row.state in _ENDED:
        yield Line(f"ended-{row.state}-{row.revision}", _headline(row, None))
    for name, shown in known.items():
        if shown.state == StepState.DEAD and dead:
            yield Line(f"dead-{name}-{row.revision}", f"Could not be delivered to {name}")
        if name != here and shown.withdrawn and shown.called and shown.state == StepState.CANCELLED:
            yield Line(f"withdrawn-{name}-{row.revision}", f"Withdrawn from {name}")
