"""The notify step: tells a destination that `[notices]` names what has gathered for it, in one message."""

from datetime import datetime
from functools import partial

import sqlalchemy as sa
import structlog

from handlers.attempt import Attempt
from handlers.places import admit, failure, open_connector
from service.domain.delivery import DeliveryFailed, Notice
from service.domain.notice_words import gathered
from service.domain.notices import Told
from service.domain.steps import ClaimedStep, Done, Later
from service.ledger import tellings
from service.ledger.tellings import Telling
from service.wiring import Relay

log = structlog.get_logger()

OVER = Done("it was over before it was told", remark="over before it was told")


def work(relay: Relay, step: ClaimedStep, attempt: Attempt) -> Done | Later:
    """Tells what has gathered, when it is time. Raises StepFailed."""
    with relay.ledger.read() as tx:
        telling = tellings.of_step(tx, step.id)
        last = tellings.last_told(tx, telling) if telling is not None else None
    if telling is None:
        return OVER
    later = _held(relay, telling, last) or admit(relay, step, attempt)
    if later is not None:
        return later
    # from here on every attempt says the same, however often it is tried
    with relay.ledger.write() as tx:
        told = tellings.freeze(tx, telling, relay.now())
    return _tell(relay, step, attempt, told) if told else OVER


def dead(relay: Relay, tx: sa.Connection, step: ClaimedStep, message: str, now: datetime) -> None:
    """Has the fallback told, unless it was this one that failed or was told before; the log has it in any case."""
    telling = tellings.of_step(tx, step.id)
    if telling is not None:
        tellings.freeze(tx, telling, now)  # or what comes later would join a telling that nobody tells
        tellings.pass_on(tx, telling.id, relay.configuration.notices, now, "could not be told")
    log.error("notice.untold", step=step.id, destination=step.lane.destination, error=message)


def _held(relay: Relay, telling: Telling, last: datetime | None) -> Later | None:
    """Says to come back when people want to hear of such things again."""
    audience, now = relay.configuration.notices, relay.now()
    quiet = audience.quiet.until(now, telling.group) if audience.quiet is not None else None
    turn = audience.next_turn(last) if telling.frozen_at is None else None
    held = {"quiet hours": quiet, "what comes until then is told with it": turn}
    why, until = max(held.items(), key=lambda each: each[1] or now)
    if until is None or until <= now:
        return None
    detail = f"{why}: until {until:%Y-%m-%d %H:%M} UTC"
    wait = (until - now).total_seconds()
    return Later(detail, wait, record=partial(_hold, telling, until), reached=False)


def _hold(telling: Telling, until: datetime, tx: sa.Connection, _now: datetime) -> None:
    tellings.hold(tx, telling, until)


def _tell(relay: Relay, step: ClaimedStep, attempt: Attempt, told: list[Told]) -> Done:
    try:
        connector = open_connector(relay, step.lane.destination, attempt.stop_reason)
        made = connector.notify(_notice(relay, step, told))
    except DeliveryFailed as error:
        attempt.check()
        raise failure(error) from error
    return Done(made.remark or "told", reference=made.reference, url=made.url, remark=made.remark or None)


def _notice(relay: Relay, step: ClaimedStep, told: list[Told]) -> Notice:
    title, text = gathered(told, f"{relay.settings.public_url}/notices")
    ids = {each.story_id for each in told}
    return Notice(
        id=f"notice-{told[0].id}-{step.id}",
        kind=told[0].kind,
        title=title,
        text=text,
        at=told[-1].created_at,
        story_id=ids.pop() if len(ids) == 1 else None,
    )
