"""Watches what fails slowly: work that waits for too long, and a disk that fills up."""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import structlog

from service.domain.notices import NoticeKind, Trouble
from service.domain.spoken_time import lasted
from service.ledger import steps, troubles
from service.wiring import Relay

log = structlog.get_logger()

DISK = "video store"


@dataclass(frozen=True)
class TroubleWatch:
    """Any number may watch at once: a trouble is opened by one of them and closed by one."""

    relay: Relay

    def look(self) -> None:
        """Opens the troubles that began and closes those that are over."""
        self._queue()
        self._disk()

    def _queue(self) -> None:
        now, limit = self.relay.now(), self.relay.settings.queue_old_seconds
        with self.relay.ledger.read() as tx:  # looked for beside SQLite's one writer, for whom webhooks wait
            oldest = steps.oldest_due(tx, now)
        if oldest is None or oldest > now - timedelta(seconds=limit):
            self._over(NoticeKind.QUEUE_OLD, now)
            return
        waits = lasted((now - oldest).total_seconds())
        trouble = Trouble(
            key="",
            kind=NoticeKind.QUEUE_OLD,
            title="Work waits for too long",
            text=f"The oldest step has been due for {waits}. Do the workers run, and is the queue reachable? "
            "`storyrelay doctor` says what is wrong.",
        )
        self._begins(trouble, now)

    def _disk(self) -> None:
        url = urlsplit(self.relay.settings.video_store)
        folder = Path(unquote(url.path))
        if url.scheme != "file" or not folder.exists():
            return
        free, wanted = shutil.disk_usage(folder).free, self.relay.settings.max_video_bytes
        now = self.relay.now()
        if free >= wanted:
            self._over(NoticeKind.DISK_LOW, now, DISK)
            return
        trouble = Trouble(
            key="",
            kind=NoticeKind.DISK_LOW,
            title="The video store is nearly full",
            text=f"{folder} has {free / 2**30:.1f} GiB left, and one video may have {wanted / 2**30:.1f} GiB. "
            "Make room, or set VIDEO_STORE to another place.",
        )
        self._begins(trouble, now, DISK)

    def _begins(self, trouble: Trouble, now: datetime, about: str = "") -> None:
        if self._is_open(trouble.kind, about):
            return
        with self.relay.ledger.write() as tx:
            began = troubles.begin(tx, trouble, self.relay.configuration.notices, now, about)
        if began:
            log.error("trouble.began", kind=trouble.kind, about=about)

    def _over(self, kind: NoticeKind, now: datetime, about: str = "") -> None:
        if not self._is_open(kind, about):
            return
        with self.relay.ledger.write() as tx:
            ended = troubles.end(tx, kind, now, about)
        if ended:
            log.info("trouble.over", kind=kind, about=about)

    def _is_open(self, kind: NoticeKind, about: str) -> bool:
        with self.relay.ledger.read() as tx:
            return troubles.is_open(tx, kind, about)
