"""What came in and what people were told: receipts and notices."""

from typing import Any

from flask import Response, jsonify
from flask_openapi.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from service.domain.api_tokens import Scope
from service.domain.states import Verdict
from service.ledger import notices, receipts, stories
from service.ledger.notices import NoticeRow
from service.ledger.receipts import ReceiptRow
from service.story_json import notice_json, receipt_json
from service.web.api.answers import answers, tagged
from service.web.api.gate import takes
from service.web.api.paging import HIGHEST_KEY, PageQuery, page
from service.web.api.problems import refuse
from service.web.api.results import page_of
from service.web.api.shapes import ListedNotice, ListedReceipt
from service.wiring import Relay

_TAG = tagged("Records")


class ReceiptsQuery(PageQuery):
    """Which receipts."""

    verdict: list[Verdict] = Field([], description="Only with these verdicts.")


class ReceiptPath(BaseModel):
    """Which receipt."""

    receipt: int = Field(ge=1, le=HIGHEST_KEY)


def add(api: APIBlueprint, relay: Relay) -> None:
    """Adds the calls."""

    @api.get("/receipts", tags=_TAG, responses=answers({200: page_of(ListedReceipt, "ReceiptsPage")}))
    @takes(Scope.READ)
    def receipt_list(query: ReceiptsQuery) -> Response:
        """List the webhooks as they arrived, newest first, also those that were refused or matched no story"""
        with relay.ledger.read() as tx:
            rows = receipts.listed(tx, query.verdict, query.limit + 1, query.after)
            names = _names(tx, rows)
        return page(rows, query.limit, lambda row: row.id, lambda row: _receipt(row, names))

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
    def notice_list(query: PageQuery) -> Response:
        """List what people were told of, newest first"""
        with relay.ledger.read() as tx:
            rows = notices.recent(tx, query.limit + 1, before=query.after)
        return page(rows, query.limit, lambda row: row.id, _notice)


def _names(tx: Any, rows: list[ReceiptRow]) -> dict[int, str]:
    found = (stories.read(tx, key) for key in {row.story for row in rows} if key is not None)
    return {row.id: row.story_id or row.submission_id for row in found if row is not None}


def _receipt(row: ReceiptRow, names: dict[int, str]) -> dict[str, Any]:
    return {"id": row.id, "story": names.get(row.story or 0), **receipt_json(row)}


def _notice(row: NoticeRow) -> dict[str, Any]:
    return {"id": row.id, "story": row.story_id, **notice_json(row)}
