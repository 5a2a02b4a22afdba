"""Questions to people: what waits for an answer, and answering."""

from typing import Any, Literal

from flask import Response, jsonify
from flask_openapi.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from service.answering import answer
from service.domain.api_tokens import Scope
from service.domain.approvals import ANSWERS, Decision, Through
from service.ledger import approvals, stories
from service.ledger.approvals import LONGEST_NOTE, ApprovalRow
from service.story_json import approval_json
from service.web.api.answers import answers, tagged
from service.web.api.gate import takes, who
from service.web.api.paging import PageQuery, page
from service.web.api.problems import Refused, refuse
from service.web.api.requests import Edge, Strict
from service.web.api.results import page_of
from service.web.api.shapes import DecidedApproval, ListedApproval
from service.web.ledger_keys import HIGHEST_KEY
from service.wiring import Relay

_TAG = tagged("Approvals")


class ApprovalsQuery(PageQuery):
    """Which questions."""

    answered: bool = Field(False, description="Those that are over, instead of those that wait.")


class ApprovalPath(BaseModel):
    """Which question."""

    approval: int = Field(ge=1, le=HIGHEST_KEY)


class DecisionBody(Strict):
    """The answer."""

    answer: Literal["approve", "reject"]
    note: str = Field("", max_length=LONGEST_NOTE, description="Why; shown where it was asked.")
    asked_at: Edge | None = Field(
        None,
        description="The question's `asked_at`: one that was asked anew since then is not answered (404).",
    )


def add(api: APIBlueprint, relay: Relay) -> None:
    """Adds the calls."""

    @api.get("/approvals", tags=_TAG, responses=answers({200: page_of(ListedApproval, "ApprovalsPage")}))
    @takes(Scope.READ)
    def approval_list(query: ApprovalsQuery) -> Response:
        """List the questions to people, newest first: those that wait, or those that are over"""
        with relay.ledger.read() as tx:
            rows = approvals.listed(tx, is_open=not query.answered, limit=query.limit + 1, before=query.key())
        return page(rows, query.limit, lambda row: row.id, lambda row: _listed(relay, row))

    @api.post(
        "/approvals/<int:approval>",
        tags=_TAG,
        responses=answers({200: DecidedApproval}, body=True),
    )
    @takes(Scope.OPERATE)
    def approval_decide(path: ApprovalPath, body: DecisionBody) -> Response:
        """Answer a question

        The first answer counts; a later one changes nothing, and gets what was decided.
        """
        by = who()
        note = " ".join(body.note.split())
        decision = Decision(ANSWERS[body.answer], by.name, Through.API, note, by.remote)
        decided = answer(relay, path.approval, decision, body.asked_at)
        if decided is None:
            raise _unknown()
        return jsonify(approval=_listed(relay, decided.row), counts=decided.won)


def _listed(relay: Relay, row: ApprovalRow) -> dict[str, Any]:
    with relay.ledger.read() as tx:
        story = stories.read(tx, row.story)
        waiting = approvals.waiting_for(tx, row)
    if story is None:
        raise _unknown()
    return {**approval_json(row), "story": story.name, "waiting": waiting}


def _unknown() -> Refused:
    return refuse(404, "no such question", "unknown-approval")
