"""Answers a question, whichever way the answer came, and has what follows from it begin."""

from datetime import datetime

from service.domain.approvals import Decision
from service.ledger import deciding
from service.ledger.deciding import Decided
from service.wiring import Relay


def answer(relay: Relay, key: int, decision: Decision, asked_at: datetime | None = None) -> Decided | None:
    """Decides a question and has its deliveries run, or end; see `deciding.decide`."""
    with relay.ledger.write() as tx:
        decided = deciding.decide(tx, key, decision, relay.now(), asked_at)
    if decided is not None:
        relay.dispatcher.dispatch()
    return decided
