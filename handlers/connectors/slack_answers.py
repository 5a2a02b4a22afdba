"""What Slack's answers mean (docs.slack.dev/reference/methods, the errors of each method that is called)."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from slack_sdk.web import SlackResponse

from handlers.connectors.answers import Unanswered, answered, excerpt
from service.domain.delivery import DeliveryFailed
from service.outbound_http import Headers
from service.outbound_http.headers import retry_after

_TOKEN = "copy the Bot User OAuth Token (xoxb-…) from OAuth & Permissions into the token option"  # noqa: S105
_INSTALL = "install the app in the workspace again, and set the new token"
_ADMIN = "an administrator of the workspace must permit it"
_CHANNEL = "see the channel option; a private channel is given by its id, and the app has to be in it"
_ARCHIVED = "unarchive the channel, or name another one in the channel option"
REFUSED = {
    "invalid_auth": _TOKEN,
    "not_authed": _TOKEN,
    "not_allowed_token_type": _TOKEN,
    "metadata_must_be_sent_from_app": _TOKEN,
    "account_inactive": _INSTALL,
    "token_revoked": _INSTALL,
    "token_expired": "the app rotates its tokens: make one without token rotation, and set its token",
    "missing_scope": "add the scope under OAuth & Permissions and install the app again",
    "no_permission": _ADMIN,
    "access_denied": _ADMIN,
    "accesslimited": _ADMIN,
    "org_login_required": "the workspace moves to an Enterprise organization: wait until it has",
    "team_added_to_org": "the workspace moves to an Enterprise organization: wait until it has",
    "enterprise_is_restricted": _ADMIN,
    "ekm_access_denied": _ADMIN,
    "team_access_not_granted": _ADMIN,
    "two_factor_setup_required": _ADMIN,
    "restricted_action": _ADMIN,
    "posting_to_channel_denied": _ADMIN,
    "not_in_channel": "invite the app to the channel: /invite @ and its name",
    "channel_not_found": _CHANNEL,
    "invalid_channel": _CHANNEL,
    "team_not_found": "a token of a whole organization needs the channel's id",
    "is_archived": _ARCHIVED,
    "is_inactive": _ARCHIVED,
}
"""Codes that say that login, rights or channel won't do, whatever the story, and what to do about it."""

PERMANENT = frozenset(
    {
        "msg_too_long",
        "no_text",
        "invalid_blocks",
        "invalid_blocks_format",
        "msg_blocks_too_long",
        "invalid_arguments",
        "invalid_arg_name",
        "invalid_array_arg",
        "invalid_json",
        "missing_argument",
        "metadata_too_large",
        "invalid_metadata_format",
        "invalid_metadata_schema",
        "message_not_found",
        "cant_update_message",
        "edit_window_closed",
        "cant_delete_message",
        "cannot_reply_to_message",
        "thread_not_found",
        "unknown_method",
        "method_deprecated",
        "deprecated_endpoint",
        "storage_limit_reached",
        "file_uploads_disabled",
        "file_uploads_except_images_disabled",
        "file_upload_size_restricted",
        "file_type_not_allowed",
        "blocked_file_type",
        "file_deleting_disabled",
        "cant_delete_file",
        "delete_not_allowed",
        "slack_connect_file_upload_sharing_blocked",
    }
)
"""Codes that another try would meet again."""

BUSY = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
UNCLEAR = frozenset(
    {
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "file_update_failed",
        "update_failed",
    }
)
"""Codes after which the call may have had its effect, as the method pages say."""

_CODE = re.compile(r"[a-z0-9_]{1,100}")


class SlackFailed(DeliveryFailed):
    """Slack said no: `code` is what it called the reason, `details` the rest, as one line."""

    def __init__(self, method: str, code: str, details: str = "", **kind: Any) -> None:
        hint = _hint(code)
        said = ", ".join(part for part in (code, details) if part)
        super().__init__(f"Slack refused {method}: {said}{hint and '; '}{hint}", **kind)
        self.code = code
        self.details = details


def failure(method: str, answer: SlackResponse, now: datetime) -> DeliveryFailed:
    """What an answer means that slack-sdk takes for a failure of `method`."""
    data = answer.data if isinstance(answer.data, dict) else {}
    code = str(data.get("error") or "")
    wait = retry_after(headers_of(answer), now)
    if code in BUSY or answer.status_code == 429:
        return DeliveryFailed(f"Slack asks for a pause before {method}", retry_after=wait)
    # slack-sdk makes an error of an answer that is no JSON, also of one with status 200, such as a proxy's page
    if answer.status_code >= 500 or code in UNCLEAR or (answer.status_code == 200 and not _is_code(code)):
        said = f"{answer.status_code} {excerpt(code.encode())}"
        return Unanswered(f"Slack failed in {method}: {said}", retry_after=wait)
    refused = bool(_hint(code))
    if answer.status_code != 200 and not refused and code not in PERMANENT:
        return answered(answer.status_code, f"Slack answered {method} with {answer.status_code}", wait)
    kind = {"permanent": code in PERMANENT, "refused": refused, "retry_after": wait}
    return SlackFailed(method, excerpt(code.encode()), _details(data), **kind)


def headers_of(answer: SlackResponse) -> Headers:
    """The answer's headers; slack-sdk gives values as text or, after an error, as lists."""
    given = {name: value[0] if isinstance(value, list) else value for name, value in answer.headers.items()}
    return Headers(given)


def _hint(code: str) -> str:
    return _ADMIN if code.startswith("restricted_action") else REFUSED.get(code, "")


def _is_code(text: str) -> bool:
    return _CODE.fullmatch(text) is not None


def _details(data: Mapping[str, Any]) -> str:
    messages = (data.get("response_metadata") or {}).get("messages") or []
    needed = [f"needs {data['needed']}"] if data.get("needed") else []
    return excerpt("; ".join(str(one) for one in (*needed, *messages)).encode())
