"""What the Slack connector does with a bot token, one call or one question each."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk.web import SlackResponse

from handlers.connectors.slack_api import SlackApi, headers_of
from handlers.connectors.slack_blocks import STORY_EVENT, SlackMessage
from service.domain.delivery import DeliveryFailed

_CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{8,}")
_PAGES = 20
_PAGE = 200


@dataclass(frozen=True)
class Posted:
    """Where a message is: the channel's id and the message's `ts`."""

    channel: str
    ts: str


class SlackBot:
    """A bot that writes to one channel, which is given by its name or id."""

    def __init__(self, api: SlackApi, channel: str) -> None:
        self._api = api
        self._client = api.client
        self._channel = channel

    def post(self, message: SlackMessage) -> Posted:
        """Posts; answers where."""
        answer = self._api.call(
            self._client.chat_postMessage,
            channel=self._channel,
            unfurl_links=False,
            unfurl_media=False,
            **vars(message),
        )
        return Posted(str(answer["channel"]), str(answer["ts"]))

    def update(self, where: Posted, message: SlackMessage) -> None:
        """Puts another message in its place."""
        self._api.call(self._client.chat_update, channel=where.channel, ts=where.ts, **vars(message))

    def delete(self, where: Posted) -> None:
        """Removes a message of ours."""
        self._api.call(self._client.chat_delete, channel=where.channel, ts=where.ts)

    def permalink(self, where: Posted) -> str:
        """The message's address for people."""
        answer = self._api.call(self._client.chat_getPermalink, channel=where.channel, message_ts=where.ts)
        return str(answer["permalink"])

    def find(self, name: str, value: str, *, channel: str | None, oldest: float = 0) -> Posted | None:
        """The newest of our last 4,000 messages since `oldest` (seconds since 1970) with this in its metadata."""
        where = channel or self.channel_id()
        history = {"channel": where, "oldest": f"{oldest:.6f}", "include_all_metadata": True}
        for page in self._pages(self._client.conversations_history, history):
            for message in page.get("messages") or []:
                metadata = message.get("metadata") or {}
                ours = metadata.get("event_type") == STORY_EVENT
                if ours and (metadata.get("event_payload") or {}).get(name) == value:
                    return Posted(where, str(message["ts"]))
        return None

    def channel_id(self) -> str:
        """The channel's id, looked up among the public channels when it is given by name."""
        if _CHANNEL_ID.fullmatch(self._channel):
            return self._channel
        wanted = self._channel.removeprefix("#")
        for page in self._pages(self._client.conversations_list, {"exclude_archived": True}):
            for one in page.get("channels") or []:
                if one.get("name") == wanted:
                    return str(one["id"])
        raise DeliveryFailed(
            f"Slack lists no public channel {wanted!r}: give the channel's id, which also works for a private one",
            refused=True,
        )

    def check(self, scopes: frozenset[str]) -> str:
        """Says who we are and where we write. Raises DeliveryFailed when a scope or the membership is missing."""
        me = self._api.call(self._client.auth_test)
        given = _scopes(me)
        missing = sorted(one for one in scopes if not {one, one.replace("channels:", "groups:")} & given)
        if missing:
            raise DeliveryFailed(
                f"the Slack token lacks {', '.join(missing)}: add it under OAuth & Permissions, then install again",
                refused=True,
            )
        channel = self._api.call(self._client.conversations_info, channel=self.channel_id())["channel"]
        if not channel.get("is_member"):
            raise DeliveryFailed(
                f"{me['user']} is not in #{channel['name']}: /invite @{me['user']} there", refused=True
            )
        return f"as {me['user']} in {me['team']}, channel #{channel['name']} ({channel['id']})"

    def _pages(self, method: Any, arguments: Mapping[str, Any]) -> Iterator[SlackResponse]:
        cursor = None
        for _ in range(_PAGES):
            page = self._api.call(method, limit=_PAGE, cursor=cursor, **arguments)
            yield page
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return


def _scopes(answer: SlackResponse) -> frozenset[str]:
    return frozenset(one.strip() for one in headers_of(answer).get("x-oauth-scopes", "").split(","))
