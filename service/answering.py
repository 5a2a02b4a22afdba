"""Answers a question, whichever way the answer came, and has what follows from it begin."""

from datetime import datetime

from service.domain.approvals import Decision
from service.ledger import deciding
from service.ledger.deciding import Decided
from service.question_minding import QuestionMinding
from service.wiring import Relay


def answer(relay: Relay, key: int, decision: Decision, asked_at: datetime | None = None) -> Decided | None:
    """Decides a question and has its deliveries run, or end; see `deciding.decide`.

    One whose time is over was answered by that, though no scheduler has seen to it yet.
    """
    end_if_over(relay, key)
    with relay.ledger.write() as tx:
        decided = deciding.decide(tx, key, decision, relay.now(), asked_at)
    if decided is not None:
        relay.dispatcher.dispatch()
    return decided


def end_if_over(relay: Relay, key: int) -> None:
    """Ends a question whose time is over: who looks at it, or answers it, need not wait for the scheduler."""
    if QuestionMinding(relay.ledger, relay.configuration, relay.now).end_if_over(key):
        relay.dispatcher.dispatch()
