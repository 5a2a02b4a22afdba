"""Clicks on buttons of the stand-in's messages: requests as Slack sends and signs them.

By docs.slack.dev: the block_actions payload, and verifying requests from Slack (`v0=` and an HMAC-SHA256 of
`v0:<timestamp>:<body>` with the app's signing secret).
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from service.stand_ins.slack_shapes import BOT, Answer, Message


@dataclass(frozen=True)
class Clicked:
    """A request that a click makes: its body and headers, to be sent to the app's interactivity address by POST."""

    body: bytes
    headers: Mapping[str, str]


class NoButton(LookupError):
    """The message has no button of that action."""


def click(
    message: Message, action: str, *, secret: str, at: float, user: tuple[str, str] = ("U0PERSON01", "ann")
) -> Clicked:
    """Clicks the button with this `action_id` at `at` (seconds since 1970), as `user` (id, name). Raises NoButton."""
    for block in message.blocks:
        for element in block.get("elements", []) if block.get("type") == "actions" else []:
            if element.get("action_id") == action:
                return signed(_payload(message, block, element, at, user), secret, at)
    raise NoButton(f"the message has no button {action!r}")


def signed(payload: Mapping[str, Any], secret: str, at: float) -> Clicked:
    """The request that carries this payload."""
    body = urlencode({"payload": json.dumps(payload)}).encode()
    timestamp = str(int(at))
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
    return Clicked(
        body,
        {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": f"v0={digest}",
        },
    )


def _payload(
    message: Message, block: Answer, element: Answer, at: float, user: tuple[str, str]
) -> dict[str, Any]:
    key, name = user
    return {
        "type": "block_actions",
        "user": {"id": key, "username": name, "name": name, "team_id": BOT["team"]},
        "api_app_id": BOT["app_id"],
        "token": "deprecated",
        "container": {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": message.channel,
            "is_ephemeral": False,
            **({"thread_ts": message.thread_ts} if message.thread_ts else {}),
        },
        "trigger_id": "1.2.stand-in",
        "team": {"id": BOT["team"], "domain": "stand-in"},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": message.channel, "name": "videos"},
        "message": message.shape(),
        "state": {"values": {}},
        "response_url": "https://hooks.slack.test/actions/T0/1/stand-in",
        "actions": [
            {
                "type": "button",
                "action_id": element["action_id"],
                "block_id": block.get("block_id", ""),
                "text": element["text"],
                "value": element.get("value", ""),
                "style": element.get("style", "default"),
                "action_ts": f"{at:.6f}",
            }
        ],
    }
