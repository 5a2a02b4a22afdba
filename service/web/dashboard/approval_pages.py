"""What waits for somebody's answer, and what was answered."""

from datetime import UTC, datetime

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.answering import answer
from service.domain.approvals import ANSWERS, Decision, Through
from service.domain.people import Role
from service.ledger import approvals
from service.ledger.approvals import LONGEST_NOTE, ApprovalRow
from service.web.asked import Asked, read_asked
from service.web.dashboard.guard import doer, needs
from service.web.dashboard.story_page import address
from service.web.ledger_keys import ledger_key
from service.wiring import Relay

LINES = 50


def add(page: Blueprint, relay: Relay) -> None:
    """Adds the page, its part that renews itself, and what the buttons do."""

    @page.get("/approvals")
    @needs(Role.VIEWER)
    def approval_list() -> str:
        return render_template("approvals.html", **_seen(relay, request.args.get("before", type=ledger_key)))

    @page.get("/approvals/live")
    @needs(Role.VIEWER)
    def approval_list_live() -> str:
        return render_template("approvals_live.html", **_seen(relay, None))

    @page.post("/approvals/<key:key>")
    @needs(Role.OPERATOR)
    def approval_decide(key: int) -> AnyResponse:
        state = ANSWERS.get(request.form.get("answer", ""))
        if state is None:
            abort(400, "Say whether it is approved or rejected.")
        note = " ".join(request.form.get("note", "").split())[:LONGEST_NOTE]
        by = doer()
        decision = Decision(state, by.name, Through.DASHBOARD, note, by.remote)
        decided = answer(relay, key, decision, _asked_at(request.form.get("asked_at", "")))
        if decided is None:
            abort(
                404,
                "There is no such question here, or it was asked anew since the page was made: look again.",
            )
        told = f"{decided.row.told[:1].upper()}{decided.row.told[1:]}."
        if decided.won:
            flash(told)
        else:
            flash(f"Nothing changed: it was answered already. {told}", "problem")
        return redirect(_back(relay, decided.row))


def _asked_at(text: str) -> datetime:
    """The asking that the form showed."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        abort(400, "The form does not say which asking it answers: load the page anew.")


def _back(relay: Relay, row: ApprovalRow) -> str:
    seen = read_asked(relay, row) if request.form.get("from") == "story" else None
    if seen is None:
        return url_for("dashboard.approval_list")
    return url_for("dashboard.story", story=address(seen.story))


def _seen(relay: Relay, before: int | None) -> dict[str, object]:
    with relay.ledger.read() as tx:
        open_ones = approvals.listed(tx, is_open=True, limit=LINES + 1)
        over = approvals.listed(tx, is_open=False, limit=LINES, before=before)
    return {
        "waiting": _asked(relay, open_ones[:LINES]),
        "more": len(open_ones) > LINES,
        "over": _asked(relay, over),
        "next": over[-1].id if len(over) == LINES else None,
    }


def _asked(relay: Relay, rows: list[ApprovalRow]) -> list[Asked]:
    return [seen for row in rows if (seen := read_asked(relay, row)) is not None]
