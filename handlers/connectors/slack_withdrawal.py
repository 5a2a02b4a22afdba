"""Takes one story out of a channel: its files, what the bot said about it in its threads, and its messages."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from handlers.connectors.slack_answers import SlackFailed
from handlers.connectors.slack_blocks import EVENTS, STORY_EVENT
from handlers.connectors.slack_bot import Posted, Shown, SlackBot, event_of
from handlers.connectors.slack_files import SlackFiles
from service.domain.delivery import DeliveryFailed, Published, Withdrawal

_DAY = 86400


@dataclass
class StoryOutOfSlack:
    """One attempt. What is gone already counts as removed; `left` counts the replies of others."""

    withdrawal: Withdrawal
    bot: SlackBot
    files: SlackFiles
    messages: int = 0
    uploads: int = 0
    left: int = 0

    def withdraw(self) -> Published:
        """Removes all of it, a message last of all: till then it leads the next attempt there."""
        try:
            return self._withdraw()
        except SlackFailed as error:
            if error.code != "channel_not_found" or not self._is_elsewhere():
                raise
            raise DeliveryFailed(
                "the story's message stands in another channel than the option's, which this token does not see: "
                "delete it there by hand",
                permanent=True,
            ) from error

    def _is_elsewhere(self) -> bool:
        return self.withdrawal.reference.get("channel") not in (None, self.bot.channel_id())

    def _withdraw(self) -> Published:
        for file in self.withdrawal.reference.get("files") or ():
            self._remove_file(str(file))
        for where in self._found():
            self.withdrawal.check()
            self._remove(where)
        self.withdrawal.save({})
        return Published(remark=self._remark())

    def _found(self) -> list[Posted]:
        """Where the story stands: what was written down, and what of its key the channel shows."""
        reference = self.withdrawal.reference
        channel = str(reference.get("channel") or self.bot.channel_id())
        written_down = {str(reference["ts"])} if reference.get("ts") else set()
        shown = {str(one["ts"]) for one in self._shown(channel)}
        return [Posted(channel, ts) for ts in sorted(written_down | shown)]

    def _shown(self, channel: str) -> Iterator[Shown]:
        created = self.withdrawal.story.created_at
        oldest = created.timestamp() - _DAY if created else 0
        for message in self.bot.messages(oldest=oldest, channel=channel):
            kind, payload = event_of(message)
            if kind == STORY_EVENT and payload.get("key") == self.withdrawal.key:
                yield message

    def _remove(self, where: Posted) -> None:
        thread = self.bot.thread(where)
        head = next((one for one in thread if one.get("ts") == where.ts), None)
        if head is None:
            return
        replies = [one for one in thread if one.get("ts") != where.ts]
        ours = [one for one in replies if _is_of_the_bot(one, head)]
        self.left += len(replies) - len(ours)
        for message in (*ours, head):
            for file in _files(message):
                self._remove_file(file)
        for message in ours:
            self.bot.delete(Posted(where.channel, str(message["ts"])))
        if head.get("subtype") != "tombstone":
            self.messages += self.bot.delete(where)

    def _remove_file(self, file: str) -> None:
        self.uploads += self.files.delete(file)

    def _remark(self) -> str:
        said = f"removed {_count(self.messages, 'message')} and {_count(self.uploads, 'file')}"
        if not self.messages and not self.uploads:
            said = "nothing of it was found in the channel"
        if self.left:
            said += (
                f"; {_count(self.left, 'reply')} of others stayed, under a note that the message was deleted"
            )
        return said


def _is_of_the_bot(message: Shown, head: Shown) -> bool:
    return event_of(message)[0] in EVENTS or (
        message.get("user") is not None and message.get("user") == head.get("user")
    )


def _files(message: Shown) -> Iterator[str]:
    """The ids of the files that the message shows, also in its blocks."""
    yield from (str(one["id"]) for one in message.get("files") or [])
    for block in message.get("blocks") or []:
        file: dict[str, Any] = block.get("slack_file") or {}
        if file.get("id"):
            yield str(file["id"])


def _count(count: int, what: str) -> str:
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{count} {what if count == 1 else plural}"
