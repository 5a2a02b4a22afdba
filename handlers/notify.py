"""The notify step: tells a notice to one of the destinations that `[notices]` names."""

from datetime import datetime

import sqlalchemy as sa
import structlog

from handlers.attempt import Attempt
from handlers.places import admit, failure, open_connector
from service.domain.delivery import DeliveryFailed, Notice
from service.domain.states import StepKind
from service.domain.steps import ClaimedStep, Done, Lane, Later, StepFailed
from service.ledger import notices, steps
from service.wiring import Relay

log = structlog.get_logger()


def work(relay: Relay, step: ClaimedStep, attempt: Attempt) -> Done | Later:
    """Tells the notice. Raises StepFailed."""
    notice = _notice(relay, step)
    later = admit(relay, step, attempt)
    if later is not None:
        return later
    try:
        connector = open_connector(relay, step.lane.destination, attempt.stop_reason)
        told = connector.notify(notice)
    except DeliveryFailed as error:
        attempt.check()
        raise failure(error) from error
    return Done(told.remark or "told", reference=told.reference, url=told.url, remark=told.remark or None)


def dead(relay: Relay, tx: sa.Connection, step: ClaimedStep, message: str, now: datetime) -> None:
    """Has the fallback told, unless it was this one that failed; the log has it in any case.

    The step is unique by notice and destination, so that the fallback is asked once, whoever fails.
    """
    fallback = relay.configuration.notice_fallback
    if fallback is not None and step.notice is not None and fallback != step.lane.destination:
        lane = Lane(StepKind.NOTIFY, fallback)
        steps.add(tx, [steps.NewStep(lane, story=step.story, notice=step.notice)], now)
    log.error("notice.untold", notice=step.notice, destination=step.lane.destination, error=message)


def _notice(relay: Relay, step: ClaimedStep) -> Notice:
    with relay.ledger.read() as tx:
        row = notices.read(tx, step.notice) if step.notice is not None else None
    if row is None:
        raise StepFailed("its notice is gone from the ledger", permanent=True)
    return Notice(
        id=f"notice-{row.id}-{step.id}",
        kind=row.kind,
        title=row.title,
        text=row.text,
        at=row.created_at,
        story_id=row.story_id,
    )
