"""Deletes what has been kept for long enough, in small transactions, and the files of what is gone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa
import structlog

from service.ledger import Ledger, aging, forgetting, pruning_places, stories
from service.ledger.forgetting import FILES, Forgotten, StillRunning
from service.ledger.pruning_places import Place
from service.settings import Settings
from service.video_store import ObjectStore

log = structlog.get_logger()

BATCH = 200
"""Rows that one transaction looks at or deletes: webhooks wait for SQLite's one writer for so long."""

TOMBSTONE = timedelta(days=7)
"""How long a deleted file's prefix is remembered, so that no slow process deletes a new file there."""

PRUNE_PAUSE = timedelta(days=1)

KINDS = (
    "bodies", "snapshots", "videos", "stories", "receipts", "attempts", "send_tests", "bulk_replays", "notices",
    "troubles", "audit",
)  # fmt: skip
"""What grows old."""

_KEPT_LIKE = {"send_tests": "attempts", "bulk_replays": "attempts", "troubles": "notices"}


def kept_days(settings: Settings, kind: str) -> float | None:
    """How long what is of this kind is kept, None: for ever; by the setting `keep_<kind>_days`, or that of its like."""
    days: float | None = getattr(settings, f"keep_{_KEPT_LIKE.get(kind, kind)}_days")
    return days


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
    """Several at once are harmless, and so is one that is killed."""

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
            self.clear_files(_never)
            self._forget_cleared()
        return found

    def advance(self, enough: Callable[[], bool]) -> dict[str, int]:
        """Goes on with the day's pruning until `enough`, asked between two transactions; returns how many of each kind.

        Where it stops is kept; the day counts as pruned once it came through, files aside.
        """
        with self.ledger.read() as tx:
            place = pruning_places.due(tx, self.now(), PRUNE_PAUSE)
        found = dict.fromkeys(KINDS, 0)
        if place is None:
            return found
        reached = place
        for count, reached in self._from(place):
            found[reached.kind] += count
            if enough():
                with self.ledger.write() as tx:
                    pruning_places.move(tx, place, reached)
                return found
        self._forget_cleared()
        with self.ledger.write() as tx:
            pruning_places.through(tx, place, self.now())
        return found

    def clear_files(self, enough: Callable[[], bool]) -> None:
        """Deletes what is listed as discarded, until `enough` or none is left. Raises StoreError."""
        while not enough():
            with self.ledger.read() as tx:
                prefixes = forgetting.discarded(tx, BATCH)
            if not prefixes:
                return
            for prefix in prefixes:
                delete_files(self.ledger, self.store(), self.now, [prefix])
                if enough():
                    return

    def _forget_cleared(self) -> None:
        with self.ledger.write() as tx:
            forgetting.forget_cleared(tx, self.now() - TOMBSTONE)

    def _from(self, place: Place) -> Iterator[tuple[int, Place]]:
        """Prunes what comes after the place, kind by kind; how many went, and where it stands now."""
        first = KINDS.index(place.kind) if place.kind in KINDS else 0
        for number, kind in enumerate(KINDS[first:], first):
            after = place.after if kind == place.kind else 0
            for count, key in self._steps(kind, after, dry=False):
                yield count, Place(kind, key)
            if number + 1 < len(KINDS):
                yield 0, Place(KINDS[number + 1])  # else who stops here would come back to an end for ever

    def _prune(self, kind: str, *, dry: bool) -> int:
        return sum(count for count, _ in self._steps(kind, 0, dry=dry))

    def _steps(self, kind: str, after: int, *, dry: bool) -> Iterator[tuple[int, int]]:
        """Prunes one kind, a transaction at a time; how many went, and the key up to which all was looked at."""
        days = kept_days(self.settings, kind)
        if days is None:
            return
        before = self.now() - timedelta(days=days)
        more: int | None = after
        while more is not None:
            with self.ledger.read() as tx:
                keys, more = _PAGES[kind](tx, before, after, BATCH)
            if dry:
                yield len(keys), after
            else:
                yield from self._delete(kind, keys)
            if more is not None:
                after = more
                yield 0, after

    def _delete(self, kind: str, keys: list[int]) -> Iterator[tuple[int, int]]:
        if kind in _OF_STORIES:
            yield from ((int(self._prune_story(kind, key)), key) for key in keys)
        elif keys:
            with self.ledger.write() as tx:
                gone = aging.delete(tx, kind, keys)
            yield gone, keys[-1]

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


def _never() -> bool:
    return False


_OF_STORIES = ("snapshots", "videos", "stories")


def _page(kind: str) -> Page:
    if kind in _OF_STORIES:
        return partial(forgetting.page_of_stories, what=kind)
    return lambda tx, before, after, limit: aging.page_of(tx, kind, before, after, limit)


_PAGES: dict[str, Page] = {kind: _page(kind) for kind in KINDS}

__all__ = ["KINDS", "Forgotten", "Pruning", "StillRunning", "delete_files", "kept_days"]
