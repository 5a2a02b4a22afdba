"""Receipts: every webhook that came, what became of it, and its body."""

import json
from collections.abc import Mapping

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.domain.people import Role
from service.domain.states import StepKind, Verdict
from service.domain.steps import Lane
from service.ledger import receipts, stories
from service.ledger.receipts import Place, ReceiptRow, Sought
from service.story_api import is_story_id
from service.web.dashboard.form_times import NoTime, read_time
from service.web.dashboard.guard import doer, needs, sentence
from service.web.ledger_keys import place_in_time, written_place
from service.wiring import Relay

LINES = 50
LONGEST_SHOWN = 64 * 1024


def add(page: Blueprint, relay: Relay) -> None:
    """Adds the list, a receipt's page, its body, and the adoption of what nobody asked for here."""

    @page.get("/receipts")
    @needs(Role.VIEWER)
    def receipt_list() -> str:
        try:
            sought, after = _sought(request.args), _place(request.args.get("after", ""))
            asked = {name: value for name, value in request.args.items() if name != "after"}
        except NoTime as error:
            flash(sentence(error), "problem")
            sought, after, asked = Sought(), None, {}
        with relay.ledger.read() as tx:
            found = receipts.listed(tx, sought, LINES + 1, after)
            tokens = receipts.tokens(tx)
        last = found[LINES - 1] if len(found) > LINES else None
        older = written_place(last.received_at, last.id) if last is not None else None
        return render_template(
            "receipts.html",
            receipts=found[:LINES],
            older=older,
            asked=asked,
            tokens=tokens,
            verdicts=list(Verdict),
        )

    @page.get("/receipts/<key:key>")
    @needs(Role.VIEWER)
    def receipt(key: int) -> str:
        found = _read(relay, key)
        with relay.ledger.read() as tx:
            story = stories.read(tx, found.story) if found.story is not None else None
        return render_template("receipt.html", receipt=found, story=story, body=_shown(found.body))

    @page.get("/receipts/<key:key>/body")
    @needs(Role.VIEWER)
    def receipt_body(key: int) -> Response:
        # neither the sender's type nor a name of theirs: a browser must not take it for a page of ours
        headers = {"Content-Disposition": f'attachment; filename="receipt-{key}.bin"'}
        return Response(_read(relay, key).body, headers=headers, content_type="application/octet-stream")

    @page.post("/receipts/<key:key>/adopt")
    @needs(Role.OPERATOR)
    def receipt_adopt(key: int) -> AnyResponse:
        _read(relay, key)
        wanted = request.form.get("story", "").strip()
        if not is_story_id(wanted):
            flash(f"“{wanted[:80]}” can't be a story's id, so nothing was adopted.", "problem")
        else:
            flash(_adopt(relay, key, wanted))
        return redirect(url_for("dashboard.receipt", key=key))


def _adopt(relay: Relay, key: int, story_id: str) -> str:
    row = relay.submission().track(story_id, by=doer())
    with relay.ledger.write() as tx:
        receipts.adopt(tx, key, row.id)
    relay.dispatcher.dispatch([Lane(StepKind.FETCH)])
    return f"Story {row.name} is adopted: the Story API is asked for it now."


def _read(relay: Relay, key: int) -> ReceiptRow:
    with relay.ledger.read() as tx:
        found = receipts.read(tx, key)
    if found is None:
        abort(404, "There is no such receipt; it may have been pruned.")
    return found


def _sought(asked: Mapping[str, str]) -> Sought:
    verdict = asked.get("verdict", "")
    return Sought(
        verdict=Verdict(verdict) if verdict in set(Verdict) else None,
        token=asked.get("token") or None,
        claimed=asked.get("claimed", "").strip()[:200] or None,
        since=read_time(asked, "from"),
        until=read_time(asked, "to"),
    )


def _place(text: str) -> Place | None:
    if not text:
        return None
    try:
        return place_in_time(text)
    except ValueError as error:
        raise NoTime("the page's address does not say where it begins") from error


def _shown(body: bytes) -> str:
    """The body as text; JSON with one name a line."""
    text = body[:LONGEST_SHOWN].decode("utf-8", "replace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
