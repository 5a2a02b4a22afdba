"""What came in and what people were told: receipts and notices."""

from collections.abc import Sequence
from typing import Any

from flask import Response, jsonify
from flask_openapi.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from service.domain.api_tokens import Scope
from service.domain.notices import NoticeKind
from service.domain.states import Verdict
from service.ledger import notices, receipts, stories, troubles
from service.ledger.notices import NoticeRow
from service.ledger.receipts import Place, ReceiptLine, ReceiptRow, Sought
from service.ledger.troubles import TroubleRow
from service.story_json import iso, notice_json, receipt_json, trouble_json
from service.web.api.answers import answers, tagged
from service.web.api.gate import takes
from service.web.api.paging import PageQuery, bad_cursor, page
from service.web.api.problems import refuse
from service.web.api.results import page_of
from service.web.api.shapes import ListedNotice, ListedReceipt, ListedTrouble, ReceiptInList
from service.web.ledger_keys import HIGHEST_KEY, place_in_time, written_place
from service.wiring import Relay

_TAG = tagged("Records")


class ReceiptsQuery(PageQuery):
    """Which receipts."""

    verdict: Verdict | None = Field(None, description="Only with this verdict.")
    claimed: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Only those that claim this story's id, or one that begins so.",
    )

    def place(self) -> Place | None:
        """`after` as the ledger has it. Raises Refused."""
        if self.after is None:
            return None
        try:
            return place_in_time(self.after)
        except ValueError as error:
            raise bad_cursor() from error


class NoticesQuery(PageQuery):
    """Which notices."""

    kind: NoticeKind | None = Field(None, description="Only of this kind.")


class TroublesQuery(PageQuery):
    """Which troubles."""

    all: bool = Field(False, description="Also those that are over.")


class ReceiptPath(BaseModel):
    """Which receipt."""

    receipt: int = Field(ge=1, le=HIGHEST_KEY)


def add(api: APIBlueprint, relay: Relay) -> None:
    """Adds the calls."""

    @api.get("/receipts", tags=_TAG, responses=answers({200: page_of(ReceiptInList, "ReceiptsPage")}))
    @takes(Scope.READ)
    def receipt_list(query: ReceiptsQuery) -> Response:
        """List the webhooks as they arrived, newest first, also those that were refused or matched no story"""
        sought, place = Sought(verdict=query.verdict, claimed=query.claimed), query.place()
        with relay.ledger.read() as tx:
            rows = receipts.listed(tx, sought, query.limit + 1, place)
            names = _names(tx, rows)
        return page(rows, query.limit, _place, lambda row: _line(row, names))

    @api.get("/receipts/<int:receipt>", tags=_TAG, responses=answers({200: ListedReceipt}))
    @takes(Scope.READ)
    def receipt(path: ReceiptPath) -> Response:
        """Read one webhook"""
        with relay.ledger.read() as tx:
            row = receipts.read(tx, path.receipt)
            names = _names(tx, [row] if row is not None else [])
        if row is None:
            raise refuse(404, "no such receipt", "unknown-receipt")
        return jsonify(_receipt(row, names))

    @api.get("/notices", tags=_TAG, responses=answers({200: page_of(ListedNotice, "NoticesPage")}))
    @takes(Scope.READ)
    def notice_list(query: NoticesQuery) -> Response:
        """List what people were told of, newest first"""
        with relay.ledger.read() as tx:
            rows = notices.recent(tx, query.limit + 1, before=query.key(), kind=query.kind)
            known = troubles.of_notices(tx, [row.id for row in rows])
        return page(rows, query.limit, lambda row: row.id, lambda row: _notice(row, known.get(row.id)))

    @api.get("/troubles", tags=_TAG, responses=answers({200: page_of(ListedTrouble, "TroublesPage")}))
    @takes(Scope.READ)
    def trouble_list(query: TroublesQuery) -> Response:
        """List the troubles that last, newest first, also those of which nobody is told"""
        with relay.ledger.read() as tx:
            rows = troubles.listed(tx, query.limit + 1, query.key(), only_open=not query.all)
        return page(rows, query.limit, lambda row: row.id, lambda row: {"id": row.id, **trouble_json(row)})


def _place(row: ReceiptLine) -> str:
    return written_place(row.received_at, row.id)


def _line(row: ReceiptLine, names: dict[int, str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "story": names.get(row.story or 0),
        "verdict": row.verdict,
        "token": row.token,
        "claimed_id": row.claimed_id,
        "claimed_status": row.claimed_status,
        "remote": row.remote,
        "received_at": iso(row.received_at),
    }


def _names(tx: Any, rows: Sequence[ReceiptRow | ReceiptLine]) -> dict[int, str]:
    found = (stories.read(tx, key) for key in {row.story for row in rows} if key is not None)
    return {row.id: row.story_id or row.submission_id for row in found if row is not None}


def _receipt(row: ReceiptRow, names: dict[int, str]) -> dict[str, Any]:
    return {"id": row.id, "story": names.get(row.story or 0), **receipt_json(row)}


def _notice(row: NoticeRow, trouble: TroubleRow | None) -> dict[str, Any]:
    told = None if trouble is None else trouble_json(trouble)
    return {"id": row.id, "story": row.story_id, **notice_json(row), "trouble": told}
