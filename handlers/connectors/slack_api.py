"""Calls to Slack's Web API through slack-sdk, each one once and in its turn."""

import http.client
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import SecretStr
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from handlers.connectors.answers import Unanswered, excerpt
from handlers.connectors.slack_answers import failure
from handlers.connectors.trust import trusting
from service.connectors import ConnectorTools

_PAGES = 20
_SILENT = logging.getLogger("storyrelay.slack_sdk")
_SILENT.setLevel(logging.CRITICAL)
"""slack-sdk would log whole answers, with the signed addresses of uploads, and pages of whoever answers for Slack."""


class SlackApi:
    """A client that asks once: slack-sdk's own retries would post a message twice when an answer is lost.

    `timeout` in seconds, for one call.
    """

    def __init__(self, token: SecretStr, api_url: str, timeout: float, tools: ConnectorTools) -> None:
        self.tools = tools
        self._had_a_turn = False
        self.client = WebClient(
            token.get_secret_value(),
            base_url=api_url,
            timeout=max(1, round(timeout)),
            ssl=trusting() if api_url.startswith("https:") else None,
            retry_handlers=[],
            logger=_SILENT,
        )

    def turn(self) -> None:
        """Waits until the destination's rate permits a call that people see: a message posted, changed or removed.

        The first one's turn is here already. Raises DeliveryFailed with `retry_after` where the wait is long.
        """
        if self._had_a_turn:
            self.tools.pace()
        self._had_a_turn = True

    def call(self, method: Callable[..., SlackResponse], **arguments: Any) -> SlackResponse:
        """Calls a method of `client`. Raises SlackFailed, Unanswered, or DeliveryFailed."""
        name = method.__name__.replace("_", ".", 1)
        try:
            return method(**arguments)
        except SlackApiError as error:
            raise failure(name, error.response, self.tools.now()) from error
        except (OSError, http.client.HTTPException, SlackClientError, UnicodeError) as error:
            raise Unanswered(f"Slack did not answer {name}: {_reason(error)}") from error

    def pages(
        self, method: Callable[..., SlackResponse], arguments: Mapping[str, Any], limit: int
    ) -> Iterator[SlackResponse]:
        """The pages of what `method` lists, `limit` on each, at most 20 of them."""
        cursor = None
        for _ in range(_PAGES):
            page = self.call(method, limit=limit, cursor=cursor, **arguments)
            yield page
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return


def _reason(error: Exception) -> str:
    return excerpt(str(getattr(error, "reason", None) or error or type(error).__name__).encode())
