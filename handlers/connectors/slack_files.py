"""Uploads to Slack: announce, send the bytes, complete; Slack then works the file up in its own time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from handlers.connectors.answers import answered, excerpt, unsent
from handlers.connectors.slack_api import SlackApi, SlackFailed
from handlers.connectors.slack_bot import Posted
from service.outbound_http import FileBody, HttpClient, OutboundError, Request

_LOOKS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between looks at an image that Slack is working up; it has no event for it."""
_MIN_RATE = 50_000
"""Bytes a second: a slower upload is given up."""


class Shared(Enum):
    """Whether a file is in the channel: UNSEEN is a file that Slack has, but shows nowhere yet."""

    YES = "yes"
    UNSEEN = "unseen"
    NO = "no"


@dataclass(frozen=True)
class SlackFiles:
    """Uploads with flat memory: the bytes go by the outbound seam, for slack-sdk reads whole files into memory."""

    api: SlackApi
    http: HttpClient
    looks: Sequence[float] = _LOOKS

    def send(self, path: Path, name: str) -> str:
        """Announces and sends a file; answers its id. Nobody sees it before `complete`."""
        size = path.stat().st_size
        client = self.api.client
        announced = self.api.call(client.files_getUploadURLExternal, filename=name, length=size)
        request = Request(
            "POST",
            str(announced["upload_url"]),
            headers={"Content-Type": "application/octet-stream"},
            body=FileBody(path),
            timeout=60 + size / _MIN_RATE,
        )
        try:
            answer = self.http.send(request)
        except OutboundError as error:
            raise unsent(error, f"uploading {name} to Slack") from error
        if answer.status != 200:
            said = f"Slack answered the upload of {name} with {answer.status}: {excerpt(answer.body)}"
            raise answered(answer.status, said)
        return str(announced["file_id"])

    def complete(
        self, file: str, title: str, where: Posted | None = None, comment: str | None = None
    ) -> None:
        """Ends an upload, and shares the file in the thread of a message, if one is given."""
        place: dict[str, Any] = {}
        if where is not None:
            place = {"channel_id": where.channel, "thread_ts": where.ts, "initial_comment": comment}
        files = [{"id": file, "title": title}]
        self.api.call(self.api.client.files_completeUploadExternal, files=files, **place)

    def is_ready(self, file: str, check: Callable[[], None]) -> bool:
        """Waits, by default up to seven seconds, till Slack has worked an image up, which a block needs."""
        for pause in (*self.looks, 0):
            if self._info(file).get("mimetype"):
                return True
            check()
            time.sleep(pause)
        return False

    def shared(self, file: str, where: Posted) -> Shared:
        """Whether the file is in the message's thread."""
        try:
            shares = self._info(file).get("shares") or {}
        except SlackFailed as error:
            if error.code not in ("file_not_found", "file_deleted"):
                raise
            return Shared.NO
        in_channel = [one for kind in shares.values() for one in kind.get(where.channel, ())]
        return Shared.YES if any(one.get("thread_ts") == where.ts for one in in_channel) else Shared.UNSEEN

    def _info(self, file: str) -> dict[str, Any]:
        info: dict[str, Any] = self.api.call(self.api.client.files_info, file=file)["file"]
        return info
