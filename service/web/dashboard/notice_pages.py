"""Notices: what is troubling now, and all that people were told."""

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, abort, render_template, request

from service.domain.notice_words import WORDS, in_words
from service.domain.notices import KINDS
from service.domain.people import Role
from service.domain.spoken_time import lasted
from service.ledger import notices, troubles
from service.ledger.notices import NoticeRow
from service.ledger.troubles import TroubleRow
from service.web.dashboard.guard import needs
from service.web.ledger_keys import ledger_key
from service.wiring import Relay

LINES = 50


@dataclass(frozen=True)
class Lasting:
    """A trouble as its line shows it. `destination`: the one that it is about, where there is one to be seen."""

    row: TroubleRow
    words: str
    lasted: str
    destination: str | None


@dataclass(frozen=True)
class Line:
    """A notice as its line shows it, and the trouble whose beginning it told."""

    row: NoticeRow
    words: str
    trouble: Lasting | None


def add(page: Blueprint, relay: Relay) -> None:
    """Adds the list, newest first, a page at a time, and the badge that every page shows while a trouble lasts."""

    @page.get("/notices")
    @needs(Role.VIEWER)
    def notice_list() -> str:
        before, kind = _key(request.args.get("before", "")), _kind(request.args.get("kind", ""))
        with relay.ledger.read() as tx:
            found = notices.recent(tx, LINES + 1, before=before, kind=kind or None)
            known = troubles.of_notices(tx, [each.id for each in found])
        now = relay.now()
        lines = [
            Line(
                each, in_words(each.kind), _lasting(relay, known[each.id], now) if each.id in known else None
            )
            for each in found[:LINES]
        ]
        return render_template(
            "notices.html",
            troubles=lasting(relay) if before is None and not kind else None,
            notices=lines,
            older=found[LINES - 1].id if len(found) > LINES else None,
            told=bool(relay.configuration.notices),
            kind=kind,
            kinds=sorted(((str(each), WORDS[each]) for each in KINDS), key=lambda pair: pair[1]),
        )

    @page.get("/notices/live")
    @needs(Role.VIEWER)
    def notice_live() -> str:
        return render_template("notices_live.html", troubles=lasting(relay))

    @page.app_context_processor
    def badge() -> dict[str, object]:
        return {"count_troubles": lambda: _count(relay)}


def lasting(relay: Relay) -> list[Lasting]:
    """What is troubling now, the oldest first."""
    with relay.ledger.read() as tx:
        rows = troubles.open_ones(tx)
    now = relay.now()
    return [_lasting(relay, row, now) for row in rows]


def _count(relay: Relay) -> int:
    with relay.ledger.read() as tx:
        return sum(troubles.count_open(tx).values())


def _lasting(relay: Relay, row: TroubleRow, now: datetime) -> Lasting:
    name = row.about.partition("/")[2]
    spent = lasted(((row.resolved_at or now) - row.opened_at).total_seconds())
    return Lasting(row, in_words(row.kind), spent, name if name in relay.configuration.destinations else None)


def _kind(text: str) -> str:
    if text and text not in WORDS:
        abort(400, "There is no such kind of notice.")
    return text


def _key(text: str) -> int | None:
    if not text:
        return None
    try:
        return ledger_key(text)
    except ValueError:
        abort(400, "The page's address does not say where it begins.")
