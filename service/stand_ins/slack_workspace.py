"""The workspace behind the Slack stand-in: channels, messages and files, and what each Web API method does.

Shapes and error codes are those of Slack's method reference (docs.slack.dev/reference/methods).
"""

import itertools
import threading
import time

from service.stand_ins.slack_blocks import block_problems
from service.stand_ins.slack_shapes import (
    Answer,
    Arguments,
    File,
    Message,
    SlackError,
    check_metadata,
    file_shape,
    is_true,
    mimetype,
    needed,
    next_cursor,
    page_start,
    parsed,
)

MAX_TEXT = 40_000


class Workspace:
    """One workspace with public channels that the bot is in, or, with a `!` before the name, is not in.

    `processing`: how many looks by `files.info` a file needs before Slack has worked it up: uploads are
    completed asynchronously, and till then a file has no type and can't stand in an image block.
    """

    def __init__(self, channels: tuple[str, ...], processing: int) -> None:
        self.lock = threading.RLock()
        self.channels = {f"C0STANDIN{n:02}": name for n, name in enumerate(channels)}
        self.messages: list[Message] = []
        self.files: dict[str, File] = {}
        self._processing = processing
        self._numbers = itertools.count(1)
        self._last_ts = 0

    def post(self, arguments: Arguments) -> Answer:
        """chat.postMessage."""
        channel = self.channel(needed(arguments, "channel"))
        thread = arguments.get("thread_ts")
        if thread and not self._find(channel, thread):
            raise SlackError("message_not_found")
        message = self._written(Message(channel, self._ts(), thread_ts=thread), arguments)
        self.messages.append(message)
        return {"ok": True, "channel": channel, "ts": message.ts, "message": message.shape()}

    def update(self, arguments: Arguments) -> Answer:
        """chat.update."""
        message = self._message(arguments)
        self._written(message, arguments).edited = True
        return {
            "ok": True,
            "channel": message.channel,
            "ts": message.ts,
            "text": message.text,
            "message": message.shape(),
        }

    def delete(self, arguments: Arguments) -> Answer:
        """chat.delete."""
        message = self._message(arguments)
        self.messages.remove(message)
        return {"ok": True, "channel": message.channel, "ts": message.ts}

    def permalink(self, arguments: Arguments) -> Answer:
        """chat.getPermalink."""
        message = self._message({**arguments, "ts": needed(arguments, "message_ts")})
        address = f"https://stand-in.slack.test/archives/{message.channel}/p{message.ts.replace('.', '')}"
        return {"ok": True, "channel": message.channel, "permalink": address}

    def history(self, arguments: Arguments) -> Answer:
        """conversations.history: newest first, replies left out, by pages."""
        channel = self.channel(needed(arguments, "channel"))
        oldest = float(arguments.get("oldest") or 0)
        found = [m for m in reversed(self.messages) if m.channel == channel and m.thread_ts in (None, m.ts)]
        found = [m for m in found if float(m.ts) > oldest]
        start, limit = page_start(arguments), min(int(arguments.get("limit", 100)), 999)
        page, more = found[start : start + limit], len(found) > start + limit
        with_metadata = is_true(arguments.get("include_all_metadata"))
        return {
            "ok": True,
            "messages": [m.shape(metadata=with_metadata) for m in page],
            "has_more": more,
            "response_metadata": {"next_cursor": next_cursor(start + limit) if more else ""},
        }

    def channel_list(self, arguments: Arguments) -> Answer:
        """conversations.list, by pages."""
        start, limit = page_start(arguments), int(arguments.get("limit", 100))
        ids = list(self.channels)[start : start + limit]
        more = len(self.channels) > start + limit
        return {
            "ok": True,
            "channels": [self._channel_shape(one) for one in ids],
            "response_metadata": {"next_cursor": next_cursor(start + limit) if more else ""},
        }

    def channel_info(self, arguments: Arguments) -> Answer:
        """conversations.info."""
        wanted = needed(arguments, "channel")
        if wanted not in self.channels:
            raise SlackError("channel_not_found")
        return {"ok": True, "channel": self._channel_shape(wanted)}

    def announce(self, arguments: Arguments) -> File:
        """files.getUploadURLExternal, but for the URL."""
        name, length = needed(arguments, "filename"), int(needed(arguments, "length"))
        if length < 1:
            raise SlackError("invalid_arguments")
        file = File(f"F0STANDIN{next(self._numbers):04}", name, length)
        self.files[file.id] = file
        return file

    def complete(self, arguments: Arguments) -> Answer:
        """files.completeUploadExternal: shares the files as one message, in a thread if so asked."""
        wanted = parsed(needed(arguments, "files"))
        files = [self._uploaded(one.get("id", "")) for one in wanted]
        channel = self.channel(arguments["channel_id"]) if arguments.get("channel_id") else None
        for file, one in zip(files, wanted, strict=True):
            file.completed, file.title = True, one.get("title", file.name)
        if channel is not None:
            self._share(files, channel, arguments)
        return {"ok": True, "files": [file_shape(file, worked_up=False) for file in files]}

    def file_info(self, arguments: Arguments) -> Answer:
        """files.info."""
        file = self.files.get(needed(arguments, "file"))
        if file is None or not file.completed:
            raise SlackError("file_not_found")
        file.looks += 1
        return {"ok": True, "file": file_shape(file, worked_up=self._worked_up(file))}

    def channel(self, wanted: str) -> str:
        """The id of a channel that the bot may write to; takes an id or a name, with or without `#`."""
        for id_, name in self.channels.items():
            if wanted == id_ or wanted.removeprefix("#") == name.lstrip("!"):
                if name.startswith("!"):
                    raise SlackError("not_in_channel")
                return id_
        raise SlackError("channel_not_found")

    def _written(self, message: Message, arguments: Arguments) -> Message:
        text, blocks = arguments.get("text") or "", parsed(arguments.get("blocks")) or []
        metadata = parsed(arguments.get("metadata"))
        if not text and not blocks:
            raise SlackError("no_text")
        if len(text) > MAX_TEXT:
            raise SlackError("msg_too_long")
        problems = block_problems(blocks, self._is_image)
        if problems:
            beside = {"messages": [f"[ERROR] {one}" for one in problems]}
            raise SlackError("invalid_blocks", errors=problems, response_metadata=beside)
        check_metadata(metadata)
        message.text, message.blocks = text, blocks
        message.metadata = metadata or message.metadata
        return message

    def _share(self, files: list[File], channel: str, arguments: Arguments) -> None:
        thread = arguments.get("thread_ts")
        if thread and not self._find(channel, thread):
            raise SlackError("thread_not_found")
        text = arguments.get("initial_comment") or ""
        message = Message(channel, self._ts(), text, thread_ts=thread, files=[file.id for file in files])
        self.messages.append(message)
        for file in files:
            share = {"ts": message.ts, "channel_name": self.channels[channel]}
            file.shares.setdefault(channel, []).append(share | ({"thread_ts": thread} if thread else {}))

    def _message(self, arguments: Arguments) -> Message:
        channel = self.channel(needed(arguments, "channel"))
        message = self._find(channel, needed(arguments, "ts"))
        if message is None:
            raise SlackError("message_not_found")
        return message

    def _find(self, channel: str, ts: str) -> Message | None:
        return next((m for m in self.messages if (m.channel, m.ts) == (channel, ts)), None)

    def _uploaded(self, id_: str) -> File:
        file = self.files.get(id_)
        if file is None or file.bytes is None:
            raise SlackError("file_not_found")
        return file

    def _worked_up(self, file: File) -> bool:
        return file.completed and file.looks > self._processing

    def _is_image(self, id_: str) -> bool:
        file = self.files.get(id_)
        return file is not None and self._worked_up(file) and mimetype(file).startswith("image/")

    def _channel_shape(self, id_: str) -> Answer:
        name = self.channels[id_]
        return {"id": id_, "name": name.lstrip("!"), "is_channel": True, "is_member": name[0] != "!"}

    def _ts(self) -> str:
        self._last_ts = max(self._last_ts + 1, time.time_ns() // 1000)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06}"
