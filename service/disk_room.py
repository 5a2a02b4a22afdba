"""How much room the folders have that fill up: of videos, of an SQLite ledger, and `var/`."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from service.settings import Settings

VIDEO_STORE, LEDGER, VAR = "video store", "ledger", "var"
NAMES = (VIDEO_STORE, LEDGER, VAR)

SLACK = 0.1
"""A disk that had too little room has enough again with so much more than that: it would come and go otherwise."""

_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Room:
    """A file system: who lives there, the first gives it its name; its bytes that are free, and that are needed."""

    names: tuple[str, ...]
    folders: tuple[Path, ...]
    free: int
    wanted: int

    @property
    def name(self) -> str:
        """What it is told by."""
        return self.names[0]

    @property
    def is_low(self) -> bool:
        """Whether it has less room than it needs."""
        return self.free < self.wanted

    @property
    def is_well(self) -> bool:
        """Whether it has room enough to forget that it was low."""
        return self.free >= self.wanted * (1 + SLACK)


def rooms(settings: Settings) -> list[Room]:
    """The file systems of these folders, each once, those of them that are there. Raises OSError."""
    by_device: dict[int, list[tuple[str, Path, int]]] = {}
    for name, folder, wanted in _folders(settings):
        if folder.is_dir():
            by_device.setdefault(folder.stat().st_dev, []).append((name, folder, wanted))
    return [_room(found) for found in by_device.values()]


def _room(found: list[tuple[str, Path, int]]) -> Room:
    names, folders, wanted = zip(*found, strict=True)
    return Room(names, tuple(dict.fromkeys(folders)), shutil.disk_usage(folders[0]).free, max(wanted))


def _folders(settings: Settings) -> list[tuple[str, Path, int]]:
    least = settings.least_free_bytes
    found = [(VAR, settings.home / "var", least)]
    if settings.database_url.startswith(_SQLITE):
        path = Path(settings.database_url.removeprefix(_SQLITE).partition("?")[0])
        found.insert(0, (LEDGER, path.parent, least))
    store = urlsplit(settings.video_store)
    if store.scheme == "file":
        found.insert(0, (VIDEO_STORE, Path(unquote(store.path)), settings.max_video_bytes))
    return found
