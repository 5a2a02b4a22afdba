"""Tries a destination with something harmless, at once or by a worker, and lets its deliveries pass again."""

from datetime import datetime, timedelta

import structlog

from service.domain.delivery import DeliveryFailed, Published
from service.domain.people import Doer
from service.domain.states import StepKind
from service.domain.steps import Lane
from service.job_queue import QueueDown
from service.ledger import lanes, people, send_tests
from service.ledger.send_tests import SendTest, Stand
from service.redaction import redact
from service.wiring import Relay, UnknownDestination

log = structlog.get_logger()

ANSWER_SECONDS = 300.0
"""A test without an answer for so long has lost its worker, or found none."""

PLACE_KINDS = (StepKind.DELIVER, StepKind.NOTIFY, StepKind.PROGRESS, StepKind.ASK)
"""The kinds of work that call a destination's place."""

LONGEST_SAID = 2000


def send_test(relay: Relay, destination: str, by: Doer | None = None) -> tuple[Published, list[Lane]]:
    """Sends a test now; returns what came of it, and the lanes that pass again because of it.

    What a person has paused stays paused. `by`: who wants it, for the audit log. Raises UnknownDestination and
    DeliveryFailed.
    """
    published = relay.connector(destination).send_test()
    both = [Lane(kind, destination) for kind in PLACE_KINDS]
    now = relay.now()
    with relay.ledger.write() as tx:
        people.note_deed(tx, by, now, "send_test", destination)
        return published, [lane for lane in both if lanes.close_circuit(tx, lane, now)]


def ask(relay: Relay, destination: str, by: Doer) -> int:
    """Has a worker send a test; returns the key by which `send_tests.read` tells what came of it.

    Where the queue is down, the test has failed by then, and says so. Raises UnknownDestination.
    """
    if destination not in relay.configuration.destinations:
        relay.connector(destination)
    now = relay.now()
    with relay.ledger.write() as tx:
        key = send_tests.add(tx, destination, by.name, now)
        people.note_deed(tx, by, now, "send_test", destination)
    try:
        relay.queue.enqueue_test(key)
    except QueueDown as error:
        _end(relay, key, Stand.FAILED, f"{error}, so nothing was sent: try again once it does")
    return key


def run(relay: Relay, key: int) -> None:
    """Sends the test that was asked for, once: one whose worker died is not sent again, people see it and ask anew."""
    with relay.ledger.write() as tx:
        test = send_tests.take(tx, key)
    if test is None:
        return
    if is_lost(test, relay.now()):
        _end(relay, key, Stand.FAILED, "no worker had time for it while anybody waited; try again")
        return
    try:
        published, reopened = send_test(relay, test.destination)
    except (DeliveryFailed, UnknownDestination) as error:
        _end(relay, key, Stand.FAILED, str(error))
        return
    _end(relay, key, Stand.SENT, published.remark, published.url)
    relay.dispatcher.dispatch(reopened)


def is_lost(test: SendTest, now: datetime) -> bool:
    """Whether nothing will be heard of a test any more."""
    return test.ended_at is None and now > test.asked_at + timedelta(seconds=ANSWER_SECONDS)


def _end(relay: Relay, key: int, state: Stand, said: str, url: str | None = None) -> None:
    with relay.ledger.write() as tx:
        send_tests.end(tx, key, state, redact(said)[:LONGEST_SAID], relay.now(), url)
    log.info("send_test.ended", test=key, state=state.value)
