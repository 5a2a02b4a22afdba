"""Pauses a destination because a person wants it so, and lets it go on."""

from service.domain.people import Doer
from service.domain.states import StepKind
from service.domain.steps import Lane
from service.ledger import lanes, people
from service.wiring import Relay


def pause(relay: Relay, destination: str, by: Doer) -> bool:
    """Has the deliveries to a destination wait until somebody resumes it; False when it was paused already.

    No attempt is spent, no probe and no change of settings ends it. What is just being delivered comes to its end;
    notices still go there.
    """
    now = relay.now()
    with relay.ledger.write() as tx:
        done = lanes.pause(tx, Lane(StepKind.DELIVER, destination), by.name, now)
        if done:
            people.note_deed(tx, by, now, "destination_paused", destination)
    return done


def resume(relay: Relay, destination: str, by: Doer) -> bool:
    """Lets deliveries pass again that were paused, by a person or because they failed; False when they did pass."""
    now, lane = relay.now(), Lane(StepKind.DELIVER, destination)
    with relay.ledger.write() as tx:
        done = lanes.resume(tx, lane, now)
        if done:
            people.note_deed(tx, by, now, "destination_resumed", destination)
    if done:
        relay.dispatcher.dispatch([lane])
    return done
