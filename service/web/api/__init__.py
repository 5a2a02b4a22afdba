"""The JSON API under /api/v1: each module has the calls of one kind of thing, all behind one gate."""

from flask import Response, jsonify
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.openapi import OpenAPI

from service.api_tokens import ApiTokens
from service.web.api import (
    approval_calls,
    bulk_calls,
    destination_calls,
    record_calls,
    story_calls,
    story_deeds,
    submitting,
)
from service.web.api.document import document
from service.web.api.gate import CALLS_A_SECOND, Gate
from service.web.api.problems import PREFIX, add_handlers
from service.web.slow_lane import SlowLane
from service.wiring import Relay

DOCUMENT = f"{PREFIX}/openapi.json"


def add_api(app: OpenAPI, relay: Relay, rate: float = CALLS_A_SECOND) -> None:
    """Gives the application the API's calls and their document; a token may make `rate` calls a second."""
    api = APIBlueprint(
        "api", __name__, url_prefix=PREFIX, abp_security=[{"token": []}], operation_id_callback=_named
    )
    api.before_request(Gate(ApiTokens(relay.ledger, relay.now), rate).admit)
    api.after_request(_add_headers)
    add_handlers(api)
    slow = SlowLane(relay.settings.web_threads // 4)
    submitting.add(api, relay, slow)
    story_calls.add(api, relay)
    story_deeds.add(api, relay)
    record_calls.add(api, relay)
    bulk_calls.add(api, relay, slow)
    approval_calls.add(api, relay)
    destination_calls.add(api, relay, slow)
    app.register_api(api)

    @app.get(DOCUMENT, doc_ui=False)
    def openapi_document() -> Response:
        return jsonify(document(app))


def _named(*, name: str, **_others: str) -> str:
    return name


def _add_headers(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response
