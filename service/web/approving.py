"""`/approve/<token>`: where whoever has a signed link decides whether a story may go on.

Looking decides nothing, for mail scanners follow links; only the form's buttons do. The token is the form's proof:
no other site knows it.
"""

from http import HTTPStatus

from flask import Blueprint, Response, render_template, request

from service.answering import answer, end_if_over
from service.approval_url import ApprovalToken, BadToken
from service.domain.approvals import ANSWERS, Decision, Through
from service.ledger import approvals
from service.ledger.approvals import LONGEST_NOTE, ApprovalRow
from service.web.asked import read_asked
from service.web.dashboard.guard import content_policy
from service.wiring import Relay

LONGEST_FORM = 16_384
LONGEST_NAME = 60
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address is a secret
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}
Answer = Response | tuple[str, int]


def blueprint(relay: Relay) -> Blueprint:
    """The page and its form."""
    page = Blueprint("approving", __name__)

    @page.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(_HEADERS)
        response.headers["Content-Security-Policy"] = content_policy()
        return response

    @page.get("/approve/<token>")
    def look(token: str) -> Answer:
        row = _found(relay, token)
        return _gone() if row is None else _shown(relay, row)

    @page.post("/approve/<token>")
    def decide(token: str) -> Answer:
        request.max_content_length = LONGEST_FORM
        row, state = _found(relay, token), ANSWERS.get(request.form.get("answer", ""))
        if row is None:
            return _gone()
        if state is None:
            return _shown(relay, row, HTTPStatus.BAD_REQUEST)
        who = _plain(request.form.get("name", ""), LONGEST_NAME)
        who = (
            f"{who} (by the link to {row.destination})"
            if who
            else f"whoever has the link to {row.destination}"
        )
        note = _plain(request.form.get("note", ""), LONGEST_NOTE)
        decision = Decision(state, who, Through.MAIL, note, request.remote_addr or "")
        decided = answer(relay, row.id, decision, row.asked_at)
        if decided is None:
            return _gone()
        status = HTTPStatus.OK if decided.won else HTTPStatus.CONFLICT
        return _shown(relay, decided.row, status, late=not decided.won)

    return page


def _found(relay: Relay, token: str) -> ApprovalRow | None:
    """The question as it was asked with this link; None for a wrong link, or one of an earlier asking."""
    try:
        named: ApprovalToken = relay.approval_urls.read_link(token)
    except BadToken:
        return None
    end_if_over(relay, named.approval)
    with relay.ledger.read() as tx:
        row = approvals.read(tx, named.approval)
    if row is None or int(row.asked_at.timestamp()) != int(named.asked_at.timestamp()):
        return None
    return row


def _shown(relay: Relay, row: ApprovalRow, status: int = HTTPStatus.OK, *, late: bool = False) -> Answer:
    seen = read_asked(relay, row)
    if seen is None:
        return _gone()
    return render_template("approve.html", seen=seen, late=late), status


def _gone() -> Answer:
    text = "This link is not good, or not any more: the story may have been asked about anew, or be gone."
    return render_template("message.html", title="No such question", text=text), HTTPStatus.NOT_FOUND


def _plain(text: str, longest: int) -> str:
    """On one line, without characters that nobody sees."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:longest]
