"""Calls to Slack's Web API through slack-sdk, and what its answers mean (docs.slack.dev/reference/methods)."""

import http.client
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pydantic import SecretStr
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from handlers.connectors.answers import Unanswered, answered, excerpt
from handlers.connectors.trust import trusting
from service.domain.delivery import DeliveryFailed
from service.outbound_http import Headers
from service.outbound_http.headers import retry_after

_LOGIN = "see the token option"
_ADMIN = "an administrator of the workspace must permit it"
REFUSED = {
    "invalid_auth": _LOGIN,
    "not_authed": _LOGIN,
    "account_inactive": _LOGIN,
    "token_revoked": _LOGIN,
    "token_expired": _LOGIN,
    "not_allowed_token_type": "use a bot token (xoxb-…)",
    "missing_scope": "add the scope under OAuth & Permissions and install the app again",
    "no_permission": _ADMIN,
    "access_denied": _ADMIN,
    "org_login_required": _ADMIN,
    "ekm_access_denied": _ADMIN,
    "team_access_not_granted": _ADMIN,
    "restricted_action": _ADMIN,
    "not_in_channel": "invite the app to the channel: /invite @ and its name",
}
"""Codes that say that the login or its rights won't do, and what to do."""

PERMANENT = frozenset(
    {
        "channel_not_found",
        "is_archived",
        "msg_too_long",
        "no_text",
        "invalid_blocks",
        "invalid_blocks_format",
        "msg_blocks_too_long",
        "invalid_arguments",
        "invalid_arg_name",
        "invalid_array_arg",
        "invalid_json",
        "metadata_too_large",
        "invalid_metadata_format",
        "message_not_found",
        "cant_update_message",
        "edit_window_closed",
        "cant_delete_message",
        "thread_not_found",
        "unknown_method",
        "method_deprecated",
        "deprecated_endpoint",
        "storage_limit_reached",
        "file_uploads_disabled",
        "file_upload_size_restricted",
        "blocked_file_type",
        "slack_connect_file_upload_sharing_blocked",
    }
)
"""Codes that another try would meet again."""

BUSY = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
UNCLEAR = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
"""Codes after which the call may have had its effect, as the method pages say."""


class SlackFailed(DeliveryFailed):
    """Slack said no: `code` is what it called the reason, `details` the rest, as one line."""

    def __init__(self, method: str, code: str, details: str = "", **kind: Any) -> None:
        hint = REFUSED.get(code, "")
        said = ", ".join(part for part in (code, details) if part)
        super().__init__(f"Slack refused {method}: {said}{hint and '; '}{hint}", **kind)
        self.code = code
        self.details = details


class SlackApi:
    """A client that asks once: slack-sdk's own retries would post a message twice when an answer is lost."""

    def __init__(self, token: SecretStr, api_url: str, timeout: float, now: Callable[[], datetime]) -> None:
        self._now = now
        self.client = WebClient(
            token.get_secret_value(),
            base_url=api_url,
            timeout=max(1, round(timeout)),
            ssl=trusting() if api_url.startswith("https:") else None,
            retry_handlers=[],
        )

    def call(self, method: Callable[..., SlackResponse], **arguments: Any) -> SlackResponse:
        """Calls a method of `client`. Raises SlackFailed, Unanswered, or DeliveryFailed."""
        name = method.__name__.replace("_", ".", 1)
        try:
            return method(**arguments)
        except SlackApiError as error:
            raise _failure(name, error.response, self._now()) from error
        except (OSError, http.client.HTTPException, SlackClientError, UnicodeError) as error:
            raise Unanswered(f"Slack did not answer {name}: {_reason(error)}") from error


def _failure(name: str, answer: SlackResponse, now: datetime) -> DeliveryFailed:
    data = answer.data if isinstance(answer.data, dict) else {}
    code = str(data.get("error") or "")
    wait = retry_after(headers_of(answer), now)
    if code in BUSY or answer.status_code == 429:
        return DeliveryFailed(f"Slack asks for a pause before {name}", retry_after=wait)
    if answer.status_code >= 500 or code in UNCLEAR:
        return Unanswered(
            f"Slack failed in {name}: {answer.status_code} {excerpt(code.encode())}", retry_after=wait
        )
    if answer.status_code != 200 and code not in REFUSED and code not in PERMANENT:
        return answered(answer.status_code, f"Slack answered {name} with {answer.status_code}", wait)
    refused = code in REFUSED or code.startswith("restricted_action")
    kind = {"permanent": code in PERMANENT, "refused": refused, "retry_after": wait}
    return SlackFailed(name, excerpt(code.encode()), _details(data), **kind)


def headers_of(answer: SlackResponse) -> Headers:
    """The answer's headers; slack-sdk gives values as text or, after an error, as lists."""
    given = {name: value[0] if isinstance(value, list) else value for name, value in answer.headers.items()}
    return Headers(given)


def _details(data: Mapping[str, Any]) -> str:
    messages = (data.get("response_metadata") or {}).get("messages") or []
    needed = [f"needs {data['needed']}"] if data.get("needed") else []
    return excerpt("; ".join(str(one) for one in (*needed, *messages)).encode())


def _reason(error: Exception) -> str:
    return excerpt(str(getattr(error, "reason", None) or error or type(error).__name__).encode())
