"""Tells the fallback what a destination could not be told for a while: it may be away, paused or overloaded."""

from datetime import timedelta

import structlog

from service.ledger import tellings
from service.wiring import Relay

log = structlog.get_logger()

PATIENCE = timedelta(minutes=15)
"""So long a notice may be due before the fallback hears of it, too; retries go on for a day."""


def pass_on_late(relay: Relay) -> int:
    """Passes on what is late, each once however many processes look; returns how many. Raises LedgerDown."""
    audience, now = relay.configuration.notices, relay.now()
    if audience.fallback is None:
        return 0
    with relay.ledger.read() as tx:
        keys = tellings.late(tx, audience, now - PATIENCE)
    passed = 0
    for key in keys:
        with relay.ledger.write() as tx:
            passed += tellings.pass_on(tx, key, audience, now, "could not be told yet")
    if passed:
        log.error("notices.late", tellings=passed, fallback=audience.fallback)
    return passed
