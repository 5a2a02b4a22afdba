"""Deletes what has been kept for long enough, in small transactions, and the files of what is gone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa
import structlog

from service.ledger import Ledger, forgetting, stories
from service.ledger.forgetting import FILES, Forgotten, StillRunning
from service.settings import Settings
from service.video_store import ObjectStore

log = structlog.get_logger()

BATCH = 200
"""Rows that one transaction looks at or deletes: webhooks wait for SQLite's one writer for so long."""

TOMBSTONE = timedelta(days=7)
"""How long a deleted file's prefix is remembered, so that no slow process deletes a new file there."""

KINDS = ("bodies", "snapshots", "videos", "stories", "receipts", "attempts", "notices", "audit")
"""What grows old, each by a setting `keep_<kind>_days`."""

Page = Callable[[sa.Connection, datetime, int, int], tuple[list[int], int | None]]
"""Keys to prune of the page after a key, and the key to go on after."""


def delete_files(
    ledger: Ledger, store: ObjectStore, now: Callable[[], datetime], prefixes: Sequence[str]
) -> None:
    """Deletes the files of these discarded prefixes. Raises StoreError: what is left stays listed."""
    for prefix in prefixes:
        for name in FILES:
            store.delete(f"{prefix}/{name}")
        with ledger.write() as tx:
            forgetting.cleared(tx, prefix, now())


@dataclass(frozen=True)
class Pruning:
    """One pass at a time; several at once are harmless, and so is one that is killed."""

    ledger: Ledger
    settings: Settings
    store: Callable[[], ObjectStore]
    now: Callable[[], datetime]

    def forget(self, key: int) -> Forgotten:
        """Deletes one story and its files, however old. Raises StillRunning, StoreError, NoResultFound."""
        with self.ledger.write() as tx:
            gone = forgetting.forget_story(tx, key, self.now())
        delete_files(self.ledger, self.store(), self.now, gone.prefixes)
        return gone

    def run(self, *, dry: bool = False) -> dict[str, int]:
        """Prunes what is older than the settings keep it; returns how many of each kind, also for a `dry` run.

        Raises StoreError when files can't be deleted: they stay listed for the next run.
        """
        found = {kind: self._prune(kind, dry=dry) for kind in KINDS}
        if not dry:
            self._delete_files()
            with self.ledger.write() as tx:
                forgetting.forget_cleared(tx, self.now() - TOMBSTONE)
        return found

    def _delete_files(self) -> None:
        """Deletes all that is listed as discarded. Raises StoreError."""
        while True:
            with self.ledger.read() as tx:
                prefixes = forgetting.discarded(tx, BATCH)
            if not prefixes:
                return
            delete_files(self.ledger, self.store(), self.now, prefixes)

    def _prune(self, kind: str, *, dry: bool) -> int:
        days: float | None = getattr(self.settings, f"keep_{kind}_days")
        if days is None:
            return 0
        before = self.now() - timedelta(days=days)
        page = _PAGES[kind]
        count, after = 0, 0
        while True:
            with self.ledger.read() as tx:
                keys, more = page(tx, before, after, BATCH)
            count += len(keys) if dry else self._delete(kind, keys)
            if more is None:
                return count
            after = more

    def _delete(self, kind: str, keys: list[int]) -> int:
        if not keys:
            return 0
        if kind in _OF_STORIES:
            return sum(self._prune_story(kind, key) for key in keys)
        with self.ledger.write() as tx:
            return forgetting.delete(tx, kind, keys)

    def _prune_story(self, kind: str, key: int) -> bool:
        """Looks again under the story's lock: somebody may have replayed it since the page was read."""
        now = self.now()
        with self.ledger.write() as tx:
            row = stories.lock_if_there(tx, key)
            if row is None or not forgetting.is_over(tx, key):
                return False
            if kind == "snapshots":
                forgetting.cut_snapshot(tx, row, now)
            elif kind == "videos":
                return bool(forgetting.remove_videos(tx, key, now))
            else:
                forgetting.forget_story(tx, key, now)
        return True


_OF_STORIES = ("snapshots", "videos", "stories")


def _page(kind: str) -> Page:
    if kind in _OF_STORIES:
        return partial(forgetting.page_of_stories, what=kind)
    return lambda tx, before, after, limit: forgetting.page_of(tx, kind, before, after, limit)


_PAGES: dict[str, Page] = {kind: _page(kind) for kind in KINDS}

__all__ = ["KINDS", "Forgotten", "Pruning", "StillRunning", "delete_files"]
