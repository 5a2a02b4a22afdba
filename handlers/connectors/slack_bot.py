"""What the Slack connector does with a bot token, one call or one question each."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk.web import SlackResponse

from handlers.connectors.slack_answers import SlackFailed, headers_of
from handlers.connectors.slack_api import SlackApi
from handlers.connectors.slack_blocks import SlackMessage
from service.domain.delivery import DeliveryFailed

Shown = Mapping[str, Any]
"""A message as Slack shows it: `ts`, `text`, `metadata`, `files`, …; all of it is untrusted."""

_CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{8,}")
_MESSAGES = 200
_CHANNELS = 999
SCOPES = {
    "chat:write": "to post",
    "channels:history": "to find what is posted already",
    "channels:read": "to find the channel",
}
UPLOAD_SCOPES = {"files:write": "to upload", "files:read": "to see uploads through"}


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
        self._channel_id = channel if _CHANNEL_ID.fullmatch(channel) else None

    def turn(self) -> None:
        """Waits for this destination's turn; see SlackApi."""
        self._api.turn()

    def post(self, message: SlackMessage, thread: Posted | None = None, *, broadcast: bool = True) -> Posted:
        """Posts; into the thread of a message, if one is given, and with `broadcast` shown in the channel too."""
        place = {} if thread is None else {"thread_ts": thread.ts, "reply_broadcast": broadcast}
        answer = self._api.call(
            self._client.chat_postMessage,
            channel=self._channel_id or self._channel,
            unfurl_links=False,
            unfurl_media=False,
            **place,
            **vars(message),
        )
        return Posted(str(answer["channel"]), str(answer["ts"]))

    def update(self, where: Posted, message: SlackMessage) -> None:
        """Puts another message in its place."""
        self._api.call(self._client.chat_update, channel=where.channel, ts=where.ts, **vars(message))

    def delete(self, where: Posted) -> bool:
        """Removes a message of ours; says whether it was still there."""
        self.turn()
        try:
            self._api.call(self._client.chat_delete, channel=where.channel, ts=where.ts)
        except SlackFailed as error:
            if error.code != "message_not_found":
                raise
            return False
        return True

    def permalink(self, where: Posted) -> str:
        """The message's address for people."""
        answer = self._api.call(self._client.chat_getPermalink, channel=where.channel, message_ts=where.ts)
        return str(answer["permalink"])

    def messages(self, *, oldest: float = 0, channel: str | None = None) -> Iterator[Shown]:
        """The channel's last 4,000 messages since `oldest` (seconds since 1970), newest first."""
        history = {
            "channel": channel or self.channel_id(),
            "oldest": f"{max(oldest, 0):.6f}",
            "include_all_metadata": True,
        }
        for page in self._api.pages(self._client.conversations_history, history, _MESSAGES):
            yield from page.get("messages") or []

    def thread(self, where: Posted) -> list[Shown]:
        """The message and what is below it, oldest first; nothing where it is gone."""
        root = {"channel": where.channel, "ts": where.ts, "include_all_metadata": True}
        try:
            pages = list(self._api.pages(self._client.conversations_replies, root, _MESSAGES))
        except SlackFailed as error:
            if error.code not in ("thread_not_found", "message_not_found"):
                raise
            return []
        return [one for page in pages for one in page.get("messages") or []]

    def channel_id(self) -> str:
        """The channel's id, looked up among the public channels when it is given by name."""
        if self._channel_id is None:
            self._channel_id = self._listed(self._channel.removeprefix("#"))
        return self._channel_id

    def check(self, scopes: Mapping[str, str]) -> str:
        """Says who we are and where we write. Raises DeliveryFailed when a scope or the membership is missing."""
        me = self._api.call(self._client.auth_test)
        given = _scopes(me)
        missing = [one for one in scopes if not {one, one.replace("channels:", "groups:")} & given]
        if missing:
            named = ", ".join(f"{one} ({scopes[one]})" for one in missing)
            raise DeliveryFailed(
                f"the Slack token lacks {named}: add it under OAuth & Permissions, then install the app again",
                refused=True,
            )
        channel = self._api.call(self._client.conversations_info, channel=self.channel_id())["channel"]
        name = f"#{channel.get('name')}"
        if channel.get("is_archived"):
            raise DeliveryFailed(f"{name} is archived: unarchive it, or name another channel", refused=True)
        if not channel.get("is_member"):
            raise DeliveryFailed(f"{me['user']} is not in {name}: /invite @{me['user']} there", refused=True)
        return f"as {me['user']} in {me['team']}, channel {name} ({channel['id']})"

    def _listed(self, name: str) -> str:
        listing = {"exclude_archived": True}
        for page in self._api.pages(self._client.conversations_list, listing, _CHANNELS):
            for one in page.get("channels") or []:
                if one.get("name") == name:
                    return str(one["id"])
        raise DeliveryFailed(
            f"Slack lists no public channel {name!r}: give the channel's id, which also works for a private one",
            refused=True,
        )


def event_of(message: Shown) -> tuple[str, Mapping[str, Any]]:
    """A message's metadata: the event's type and its payload, empty where it has none."""
    metadata = message.get("metadata") or {}
    return str(metadata.get("event_type") or ""), metadata.get("event_payload") or {}


def _scopes(answer: SlackResponse) -> frozenset[str]:
    return frozenset(one.strip() for one in headers_of(answer).get("x-oauth-scopes", "").split(","))
