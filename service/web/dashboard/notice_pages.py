"""Notices: what is troubling now, and all that people were told."""

from flask import Blueprint, abort, render_template, request

from service.domain.people import Role
from service.ledger import notices, troubles
from service.web.dashboard.guard import needs
from service.wiring import Relay

LINES = 50
_LARGEST_KEY = 2**63


def add(page: Blueprint, relay: Relay) -> None:
    """Adds the list, newest first, a page at a time."""

    @page.get("/notices")
    @needs(Role.VIEWER)
    def notice_list() -> str:
        before = _key(request.args.get("before", ""))
        with relay.ledger.read() as tx:
            lasting = troubles.open_ones(tx) if before is None else []
            found = notices.recent(tx, LINES + 1, before=before)
        older = found[LINES - 1].id if len(found) > LINES else None
        told = bool(relay.configuration.notices)
        return render_template(
            "notices.html", troubles=lasting, notices=found[:LINES], older=older, before=before, told=told
        )


def _key(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < len(str(_LARGEST_KEY))):
        abort(400, "The page's address does not say where it begins.")
    return int(text)
