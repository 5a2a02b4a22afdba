"""Uploads to Slack: announce, send the bytes, complete; Slack then works the file up in its own time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handlers.connectors.answers import answered, excerpt, unsent
from handlers.connectors.json_calls import UPLOAD_RATE
from handlers.connectors.slack_answers import SlackFailed
from handlers.connectors.slack_api import SlackApi
from handlers.connectors.slack_bot import Posted
from service.outbound_http import FileBody, OutboundError, Request

LOOKS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between looks at a file that Slack is working up; it has no event for it."""
_GONE = ("file_not_found", "file_deleted")


@dataclass(frozen=True)
class SlackFiles:
    """Uploads with flat memory: the bytes go by the outbound seam, for slack-sdk reads whole files into memory."""

    api: SlackApi
    looks: Sequence[float] = LOOKS

    def send(self, path: Path, name: str) -> str:
        """Announces and sends a file; answers its id. Nobody sees it before `complete`."""
        size = path.stat().st_size
        client, tools = self.api.client, self.api.tools
        announced = self.api.call(client.files_getUploadURLExternal, filename=name, length=size)
        request = Request(
            "POST",
            str(announced["upload_url"]),
            headers={"Content-Type": "application/octet-stream"},
            body=FileBody(path),
            timeout=60 + size / UPLOAD_RATE,
        )
        try:
            answer = tools.http.send(request)
        except OutboundError as error:
            raise unsent(error, f"uploading {name} to Slack") from error
        if answer.status != 200:
            said = f"Slack answered the upload of {name} with {answer.status}: {excerpt(answer.body)}"
            raise answered(answer.status, said, answer.retry_after(tools.now()))
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
            info = self.info(file)
            if info is None or info.get("mimetype"):
                return info is not None
            check()
            time.sleep(pause)
        return False

    def info(self, file: str) -> dict[str, Any] | None:
        """What Slack says of a file, None where it has none of that id (any more)."""
        try:
            info: dict[str, Any] = self.api.call(self.api.client.files_info, file=file)["file"]
        except SlackFailed as error:
            if error.code not in _GONE:
                raise
            return None
        return info

    def delete(self, file: str) -> bool:
        """Removes a file of ours wherever it is shown; says whether it was still there."""
        self.api.turn()
        try:
            self.api.call(self.api.client.files_delete, file=file)
        except SlackFailed as error:
            if error.code not in _GONE:
                raise
            return False
        return True
