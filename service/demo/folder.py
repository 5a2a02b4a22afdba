"""The demo's folder: made anew for each run, and never somebody else's."""

import shutil
from dataclasses import dataclass
from pathlib import Path

MARKER = ".storyrelay-demo"
_MARKED = "Storyrelay's demo made this folder. The next demo removes everything in it.\n"
_LOCK = Path("var") / "up.lock"


class ForeignFolder(Exception):
    """The folder holds what no demo has put there; nothing was changed."""


@dataclass(frozen=True)
class DemoFolder:
    """A home of the service with places of the demo beside it."""

    path: Path

    @property
    def configuration(self) -> Path:
        """Destinations and routes."""
        return self.path / "storyrelay.toml"

    @property
    def logs(self) -> Path:
        """A log for each process."""
        return self.path / "log"

    @property
    def archive(self) -> Path:
        """What the archive destination keeps."""
        return self.path / "published"

    @property
    def mailbox(self) -> Path:
        """The mails, as .eml files."""
        return self.path / "mailbox"

    @property
    def slack_files(self) -> Path:
        """What was uploaded to the Slack stand-in."""
        return self.path / "slack" / "files"

    @property
    def slack_messages(self) -> Path:
        """The Slack stand-in's messages as JSON."""
        return self.path / "slack" / "messages.json"

    @property
    def deliveries(self) -> Path:
        """The webhooks that the sink took, a JSON line each."""
        return self.path / "webhooks" / "deliveries.jsonl"

    def claim(self) -> None:
        """Marks the folder as the demo's, making it if need be. Raises ForeignFolder, and OSError."""
        marker = self.path / MARKER
        if marker.is_file():
            return
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise ForeignFolder(
                f"{self.path} is not empty and was not made by a demo: "
                "name an empty or a new folder with --home"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        marker.write_text(_MARKED)

    def clear(self) -> None:
        """Removes what the last demo left, and makes the folders of this one; the caller holds the folder's lock."""
        if not (self.path / MARKER).is_file():
            raise ForeignFolder(f"{self.path} bears no {MARKER}: nothing was removed")
        for entry in (*self.path.iterdir(), *(self.path / _LOCK.parent).iterdir()):
            if entry.name != MARKER and entry not in (self.path / _LOCK, self.path / _LOCK.parent):
                _remove(entry)
        for folder in (self.logs, self.mailbox, self.slack_files, self.deliveries.parent):
            folder.mkdir(parents=True)


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()
