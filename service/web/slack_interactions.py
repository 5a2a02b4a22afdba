"""`/slack/interactions`: clicks on buttons of our messages, which Slack sends and signs.

Answers are empty whatever was clicked, and never wait for Slack: what was decided is shown by a step
(docs.slack.dev/interactivity/handling-user-interaction; block_actions payload; verifying requests from Slack).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import structlog
from flask import Blueprint, Response, abort, request
from pydantic import SecretStr
from slack_sdk.signature import Clock, SignatureVerifier

from service.answering import answer
from service.approval_url import BadToken
from service.domain.approvals import ApprovalState, Decision, Through
from service.ledger import approvals
from service.ledger.asked_places import shown_at
from service.wiring import Relay

log = structlog.get_logger()

LONGEST_BODY = 256 * 1024
"""Bytes: Slack sends the whole message along."""

ANSWERS = {"storyrelay_approve": ApprovalState.APPROVED, "storyrelay_reject": ApprovalState.REJECTED}
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Click:
    """A click on one of our buttons: what it answers, its signed value, and who clicked."""

    state: ApprovalState
    value: str
    who: str


class _RelaysClock(Clock):
    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def now(self) -> float:
        return self._relay.now().timestamp()


def blueprint(relay: Relay) -> Blueprint:
    """The route."""
    page = Blueprint("slack", __name__)

    @page.post("/slack/interactions")
    def interact() -> Response:
        request.max_content_length = LONGEST_BODY
        body = request.get_data(cache=False)
        signed_for = _signed_for(relay, body)
        if not signed_for:
            abort(HTTPStatus.UNAUTHORIZED, "Slack's signature is missing, wrong or too old")
        click = _click(body)
        if click is not None:
            _decide(relay, click, signed_for)
        return Response(status=HTTPStatus.OK)

    return page


def _signed_for(relay: Relay, body: bytes) -> set[str]:
    """The destinations whose secret signed the request: several may be of one workspace."""
    timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
    signature = request.headers.get("X-Slack-Signature", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 20) or not signature.isascii():
        return set()
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return set()
    found = set()
    for name, config in relay.configuration.destinations.items():
        secret = getattr(config.options, "signing_secret", None)
        if not isinstance(secret, SecretStr) or not secret.get_secret_value():
            continue
        verifier = SignatureVerifier(secret.get_secret_value(), _RelaysClock(relay))
        if verifier.is_valid(text, timestamp, signature):
            found.add(name)
    return found


def _click(body: bytes) -> Click | None:
    """What was clicked; None for whatever else Slack tells."""
    try:
        payload: Any = json.loads(parse_qs(body.decode()).get("payload", [""])[0])
    except ValueError:
        return None
    if not isinstance(payload, dict) or payload.get("type") != "block_actions":
        return None
    user = payload.get("user")
    actions = payload.get("actions")
    if not isinstance(user, dict) or not isinstance(actions, list):
        return None
    for action in actions:
        state = ANSWERS.get(str(action.get("action_id"))) if isinstance(action, dict) else None
        if state is not None:
            return Click(state, str(action.get("value") or ""), _name(user))
    return None


def _name(user: Mapping[str, Any]) -> str:
    shown = str(user.get("name") or user.get("username") or "somebody")
    shown = "".join(each for each in shown if each.isprintable())[:_LONGEST_NAME]
    key = str(user.get("id") or "")
    return f"{shown} ({key})" if key.isalnum() and len(key) < 40 else shown


def _decide(relay: Relay, click: Click, signed_for: set[str]) -> None:
    try:
        named = relay.approval_urls.read_button(click.value)
    except BadToken:
        log.warning("slack.click_unknown")
        return
    with relay.ledger.read() as tx:
        row = approvals.read(tx, named.approval)
        asked = [] if row is None else shown_at(tx, row.story, row.revision, row.destination)
    if row is None or signed_for.isdisjoint(asked):
        log.warning("slack.click_elsewhere", approval=named.approval)
        return
    decision = Decision(click.state, click.who, Through.SLACK, remote=request.remote_addr or "")
    decided = answer(relay, row.id, decision, named.asked_at)
    log.info("slack.clicked", approval=row.id, counts=decided is not None and decided.won)
