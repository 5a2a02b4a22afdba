"""What goes in and out of the Slack stand-in: its arguments, messages, files and errors, shaped as Slack does."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Arguments = Mapping[str, Any]
Answer = dict[str, Any]

MAX_METADATA = 8_000
BOT = {"user": "U0STANDIN1", "bot_id": "B0STANDIN1", "app_id": "A0STANDIN1", "team": "T0STANDIN1"}
SLACKBOT = {"user": "USLACKBOT"}


class SlackError(Exception):
    """An answer with `ok: false`: the code, and what is beside it."""

    def __init__(self, code: str, **beside: Any) -> None:
        super().__init__(code)
        self.code = code
        self.beside = beside


@dataclass
class Message:
    """A message as the channel shows it. `ts` is its id; `thread_ts` that of the message it replies to."""

    channel: str
    ts: str
    text: str = ""
    blocks: list[Answer] = field(default_factory=list)
    metadata: Answer | None = None
    thread_ts: str | None = None
    files: list[str] = field(default_factory=list)
    edited: bool = False
    broadcast: bool = False
    author: Mapping[str, str] = field(default_factory=lambda: BOT)
    tombstone: bool = False

    def shape(self, *, metadata: bool = True) -> Answer:
        """The message as the Web API gives it."""
        shape: Answer = {"type": "message", "ts": self.ts, "text": self.text, **self.author}
        if self.tombstone:
            return shape | {"subtype": "tombstone", "hidden": True, "thread_ts": self.ts}
        shape["blocks"] = self.blocks
        if self.metadata and metadata:
            shape["metadata"] = self.metadata
        if self.thread_ts:
            shape["thread_ts"] = self.thread_ts
        if self.broadcast:
            shape["subtype"] = "thread_broadcast"
        if self.edited:
            shape["edited"] = {"user": self.author["user"], "ts": self.ts}
        if self.files:
            shape["files"] = [{"id": file} for file in self.files]
        return shape

    @property
    def is_reply(self) -> bool:
        """Whether it stands in a thread, below another message."""
        return self.thread_ts not in (None, self.ts)

    def bury(self) -> None:
        """What is left of a message that was deleted while it has replies."""
        self.text, self.blocks, self.metadata, self.files = "This message was deleted.", [], None, []
        self.author, self.tombstone, self.thread_ts = SLACKBOT, True, self.ts


@dataclass
class File:
    """An upload: announced, then sent (`bytes`, `sha256`), then completed, and shared in channels by `ts`.

    `deleted`: it leaves its messages, and is not found any more.
    """

    id: str
    name: str
    length: int
    bytes: int | None = None
    sha256: str = ""
    title: str = ""
    completed: bool = False
    looks: int = 0
    shares: dict[str, list[Answer]] = field(default_factory=dict)
    deleted: bool = False


def check_metadata(metadata: Any) -> None:
    """Refuses message metadata of the wrong shape or size."""
    if metadata is None:
        return
    if not isinstance(metadata, dict) or not metadata.get("event_type") or "event_payload" not in metadata:
        raise SlackError("invalid_metadata_format")
    if len(json.dumps(metadata)) > MAX_METADATA:
        raise SlackError("metadata_too_large")


def needed(arguments: Arguments, name: str) -> str:
    """An argument that must be there."""
    if arguments.get(name) in (None, ""):
        raise SlackError(
            "invalid_arguments", response_metadata={"messages": [f"[ERROR] missing required field: {name}"]}
        )
    value: str = arguments[name]
    return value


def parsed(value: Any) -> Any:
    """A list or an object, which in a form comes as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise SlackError("invalid_arguments") from None


def is_true(value: Any) -> bool:
    """Whether a flag is set, as JSON or in a form."""
    return value in (True, "1", "true")


def page_start(arguments: Arguments) -> int:
    """The place that a cursor points to."""
    cursor = arguments.get("cursor")
    return int(base64.b64decode(cursor).decode().removeprefix("next:")) if cursor else 0


def next_cursor(start: int) -> str:
    """A cursor to that place."""
    return base64.b64encode(f"next:{start}".encode()).decode()


def mimetype(file: File) -> str:
    """The type by the name's ending, as Slack finds it."""
    return {"jpg": "image/jpeg", "png": "image/png", "mp4": "video/mp4"}.get(file.name.rpartition(".")[2], "")


def file_shape(file: File, *, worked_up: bool) -> Answer:
    """The file as the Web API gives it: without type and shares until it was worked up."""
    return {
        "id": file.id,
        "name": file.name,
        "title": file.title,
        "mimetype": mimetype(file) if worked_up else "",
        "size": file.bytes,
        "permalink": f"https://stand-in.slack.test/files/{BOT['user']}/{file.id}/{file.name}",
        "channels": list(file.shares) if worked_up else [],
        "shares": {"public": file.shares} if worked_up and file.shares else {},
    }
