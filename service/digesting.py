"""Sends the daily digest, once whoever looks and whoever dies: the notice of a day has one key."""

from datetime import date, timedelta

import structlog

from service.domain.digest import Day, Numbers, words
from service.domain.notices import Digest, NoticeKind, Trouble
from service.ledger import digests, notices, tellings
from service.wiring import Relay

log = structlog.get_logger()


def look_back(relay: Relay, day: Day) -> tuple[Numbers, str, str]:
    """What happened on the day: in numbers, and in words (title, text)."""
    with relay.ledger.read() as tx:
        numbers = digests.read(tx, day)
    return (numbers, *words(day, numbers, relay.settings.public_url, relay.now()))


def send_due(relay: Relay) -> bool:
    """Has people told of the day before, if it is time and nobody did so yet; returns whether. Raises LedgerDown.

    A scheduler that was down at that hour does it when it comes back, on the same day.
    """
    digest = relay.configuration.notices.digest
    day = _due(relay, digest) if digest is not None else None
    if digest is None or day is None:
        return False
    numbers, title, text = look_back(relay, Day(day, digest.zone))
    says = digest.says_nothing_happened or not numbers.is_empty
    with relay.ledger.write() as tx:
        trouble = Trouble(_key(day), NoticeKind.DIGEST, title, text)
        notice = notices.record(tx, trouble, relay.now())
        if notice is None:
            return False
        for name in digest.destinations if says else ():
            tellings.join(tx, name, trouble.group, notice, relay.now(), alone=True)
    log.info("digest.made", day=str(day), told=list(digest.destinations) if says else [])
    return True


def _due(relay: Relay, digest: Digest) -> date | None:
    local = relay.now().astimezone(digest.zone)
    yesterday = local.date() - timedelta(days=1)
    if local.time() < digest.at:
        return None
    with relay.ledger.read() as tx:
        return None if notices.is_recorded(tx, _key(yesterday)) else yesterday


def _key(day: date) -> str:
    return f"digest/{day}"
