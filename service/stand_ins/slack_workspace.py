"""The workspace behind the Slack stand-in: messages and threads, and what each Web API method does to them.

Shapes and error codes are those of Slack's method reference (docs.slack.dev/reference/methods).
"""

import threading
import time
from collections.abc import Iterable

from service.stand_ins.slack_blocks import block_problems
from service.stand_ins.slack_channels import Channels
from service.stand_ins.slack_shapes import (
    BOT,
    Answer,
    Arguments,
    File,
    Message,
    SlackError,
    check_metadata,
    is_true,
    needed,
    next_cursor,
    page_start,
    parsed,
)
from service.stand_ins.slack_uploads import Uploads

MAX_TEXT = 40_000
MAX_UPDATED_TEXT = 4_000
PERSON = {"user": "U0PERSON01"}


class Workspace:
    """One workspace with channels and the messages in them; `uploads` are its files."""

    def __init__(self, channels: tuple[str, ...], uploads: Uploads) -> None:
        self.lock = threading.RLock()
        self.channels = Channels(channels)
        self.uploads = uploads
        self.messages: list[Message] = []
        self._last_ts = 0

    def post(self, arguments: Arguments) -> Answer:
        """chat.postMessage. A reply to a message that is gone comes to stand in the channel, as Slack does it."""
        channel = self.channels.writable(needed(arguments, "channel"))
        thread = self._thread(channel, arguments.get("thread_ts"))
        broadcast = thread is not None and is_true(arguments.get("reply_broadcast"))
        message = Message(channel, self._ts(), thread_ts=thread, broadcast=broadcast)
        self.messages.append(self._written(message, arguments, MAX_TEXT))
        return {"ok": True, "channel": channel, "ts": message.ts, "message": self._shape(message)}

    def say(self, channel: str, text: str, thread_ts: str | None = None) -> Message:
        """A person of the channel says something."""
        message = Message(
            self.channels.readable(channel), self._ts(), text, thread_ts=thread_ts, author=PERSON
        )
        self.messages.append(message)
        return message

    def update(self, arguments: Arguments) -> Answer:
        """chat.update."""
        message = self._own_message(arguments, "cant_update_message")
        self._written(message, arguments, MAX_UPDATED_TEXT).edited = True
        where = {"channel": message.channel, "ts": message.ts}
        return {"ok": True, **where, "text": message.text, "message": self._shape(message)}

    def delete(self, arguments: Arguments) -> Answer:
        """chat.delete: a message with replies leaves a tombstone, which goes with the last of them."""
        message = self._own_message(arguments, "cant_delete_message")
        self._remove(message)
        return {"ok": True, "channel": message.channel, "ts": message.ts}

    def permalink(self, arguments: Arguments) -> Answer:
        """chat.getPermalink."""
        message = self._message({**arguments, "ts": needed(arguments, "message_ts")})
        address = f"https://stand-in.slack.test/archives/{message.channel}/p{message.ts.replace('.', '')}"
        return {"ok": True, "channel": message.channel, "permalink": address}

    def history(self, arguments: Arguments) -> Answer:
        """conversations.history: newest first, replies left out but for those that are shown in the channel."""
        channel = self.channels.readable(needed(arguments, "channel"))
        found = [m for m in self.messages if m.channel == channel and (not m.is_reply or m.broadcast)]
        return self._page(arguments, reversed(found))

    def replies(self, arguments: Arguments) -> Answer:
        """conversations.replies: the message and its thread, oldest first."""
        channel, ts = self.channels.readable(needed(arguments, "channel")), needed(arguments, "ts")
        if self._find(channel, ts) is None:
            raise SlackError("thread_not_found")
        found = [m for m in self.messages if m.channel == channel and ts in (m.ts, m.thread_ts)]
        return self._page(arguments, sorted(found, key=lambda m: float(m.ts)))

    def complete(self, arguments: Arguments) -> Answer:
        """files.completeUploadExternal: shares the files as one message, in a thread if so asked."""
        wanted = parsed(needed(arguments, "files"))
        files = [self.uploads.uploaded(one.get("id", "")) for one in wanted]
        channel = self.channels.writable(arguments["channel_id"]) if arguments.get("channel_id") else None
        for file, one in zip(files, wanted, strict=True):
            file.completed, file.title = True, one.get("title", file.name)
        if channel is not None:
            self._share(files, channel, arguments)
        return {"ok": True, "files": [{"id": file.id, "title": file.title} for file in files]}

    def delete_file(self, arguments: Arguments) -> Answer:
        """files.delete: a message that says nothing beside its file goes with it."""
        file = self.uploads.delete(arguments)
        for message in [m for m in self.messages if file.id in m.files]:
            message.files.remove(file.id)
            if not message.files and not message.text:
                self._remove(message)
        return {"ok": True}

    def _page(self, arguments: Arguments, found: Iterable[Message]) -> Answer:
        oldest = float(arguments.get("oldest") or 0)
        inclusive = is_true(arguments.get("inclusive"))
        kept = [m for m in found if float(m.ts) > oldest or (inclusive and float(m.ts) == oldest)]
        start, limit = page_start(arguments), min(int(arguments.get("limit", 100)), 999)
        more = len(kept) > start + limit
        metadata = is_true(arguments.get("include_all_metadata"))
        page = [m for m in kept[start : start + limit] if self._is_visible(m)]
        return {
            "ok": True,
            "messages": [self._shape(m, metadata=metadata) for m in page],
            "has_more": more,
            "response_metadata": {"next_cursor": next_cursor(start + limit) if more else ""},
        }

    def _is_visible(self, message: Message) -> bool:
        """A shared file comes to be seen when Slack has worked it up."""
        for file in message.files:
            self.uploads.look(file)
        return all(self.uploads.is_worked_up(file) for file in message.files)

    def _shape(self, message: Message, *, metadata: bool = True) -> Answer:
        shape = message.shape(metadata=metadata)
        if message.files:
            shape["files"] = [self.uploads.shape(file) for file in message.files]
        replies = sum(self._is_below(reply, message) for reply in self.messages)
        return shape | ({"thread_ts": message.ts, "reply_count": replies} if replies else {})

    def _written(self, message: Message, arguments: Arguments, longest: int) -> Message:
        text, blocks = arguments.get("text") or "", parsed(arguments.get("blocks")) or []
        metadata = parsed(arguments.get("metadata"))
        if not text and not blocks:
            raise SlackError("no_text")
        if len(text) > longest:
            raise SlackError("msg_too_long")
        problems = block_problems(blocks, self.uploads.is_image)
        if problems:
            beside = {"messages": [f"[ERROR] {one}" for one in problems]}
            raise SlackError("invalid_blocks", errors=problems, response_metadata=beside)
        check_metadata(metadata)
        message.text, message.blocks = text, blocks
        message.metadata = metadata or message.metadata
        return message

    def _share(self, files: list[File], channel: str, arguments: Arguments) -> None:
        thread = self._thread(channel, arguments.get("thread_ts"))
        text = arguments.get("initial_comment") or ""
        message = Message(channel, self._ts(), text, thread_ts=thread, files=[file.id for file in files])
        self.messages.append(message)
        for file in files:
            share = {"ts": message.ts, "channel_name": self.channels.name(channel)}
            file.shares.setdefault(channel, []).append(share | ({"thread_ts": thread} if thread else {}))

    def _remove(self, message: Message) -> None:
        if any(self._is_below(one, message) for one in self.messages):
            message.bury()
            return
        self.messages.remove(message)
        above = self._find(message.channel, message.thread_ts or "")
        if above is not None and above.tombstone:
            self._remove_if_bare(above)

    def _remove_if_bare(self, tombstone: Message) -> None:
        if not any(self._is_below(one, tombstone) for one in self.messages):
            self.messages.remove(tombstone)

    @staticmethod
    def _is_below(reply: Message, message: Message) -> bool:
        return reply.is_reply and (reply.channel, reply.thread_ts) == (message.channel, message.ts)

    def _own_message(self, arguments: Arguments, unless: str) -> Message:
        message = self._message(arguments)
        if message.author is not BOT:
            raise SlackError(unless)
        return message

    def _message(self, arguments: Arguments) -> Message:
        channel = self.channels.writable(needed(arguments, "channel"))
        message = self._find(channel, needed(arguments, "ts"))
        if message is None:
            raise SlackError("message_not_found")
        return message

    def _thread(self, channel: str, ts: str | None) -> str | None:
        found = self._find(channel, ts) if ts else None
        return None if found is None or found.tombstone else ts

    def _find(self, channel: str, ts: str) -> Message | None:
        return next((m for m in self.messages if (m.channel, m.ts) == (channel, ts)), None)

    def _ts(self) -> str:
        self._last_ts = max(self._last_ts + 1, time.time_ns() // 1000)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06}"
