"""What came of the demo, for people and for programs."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.demo.folder import DemoFolder
from service.demo.stories import ARCHIVE, DESTINATIONS, MAIL, SLACK, WEBHOOK
from service.demo.table import final_table
from service.demo.watching import Seen
from service.domain.stories import text
from service.ledger.reports import StepRow
from service.ledger.stories import VideoRow


@dataclass(frozen=True)
class Report:
    """All stories as they ended, what is wrong with that, and how long it took in seconds."""

    seen: Sequence[Seen]
    problems: Sequence[str]
    folder: DemoFolder
    seconds: float

    def show(self, console: Console) -> None:
        """Prints it for people."""
        console.print(final_table(self.seen))
        console.print(self._notices())
        console.print(self._where_to_look())
        if not self.problems:
            console.print(
                f"All {len(self.seen)} stories ended as they should, in {self.seconds:.0f} s.", style="green"
            )
        for problem in self.problems:
            console.print(Text(f"Not as it should be: {text(problem, 500)}", style="red"))

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "ok": not self.problems,
            "seconds": round(self.seconds, 1),
            "problems": list(self.problems),
            "stories": [story_as_json(story) for story in self.seen],
            "places": {name: str(path) for name, path, _ in self._places()},
        }

    def _notices(self) -> Text:
        """What people were told of, and why."""
        messages = [(s.wish.title, s.row.message) for s in self.seen if s.row is not None and s.row.message]
        told = [name for name in (SLACK, MAIL) if any(story.told(name) for story in self.seen)]
        lines = [Text(f"Notices, told to {' and '.join(told) or 'nobody'}:", style="bold")]
        for title, message in messages:
            lines.append(Text.assemble(f"  {text(title, 100)}: ", (text(message, 300), "dim")))
        return Text("\n").join([*lines, Text("")])

    def _where_to_look(self) -> Table:
        grid = Table.grid(padding=(0, 2, 0, 0))
        for name, path, what in self._places():
            grid.add_row(Text(name, style="bold"), Text(shown(path)), Text(what, style="dim"))
        # as it was called: `make demo` puts nothing on the path
        program = "storyrelay" if shutil.which("storyrelay") else shown(Path(sys.argv[0]).resolve())
        command = f"STORYRELAY_HOME={shown(self.folder.path)} {program} stories"
        grid.add_row(
            Text("ledger", style="bold"), Text(command, overflow="fold"), Text("and show ID", style="dim")
        )
        return grid

    def _places(self) -> Iterator[tuple[str, Path, str]]:
        folder = self.folder
        yield ARCHIVE, folder.archive, "videos, posters, captions, facts"
        yield SLACK, folder.slack_messages, "what the stand-in's channel shows"
        yield MAIL, folder.mailbox, "mails"
        yield WEBHOOK, folder.deliveries, "signed webhooks"
        yield "settings", folder.configuration, "destinations and routes"
        yield "logs", folder.logs, "a file for each process"


def shown(path: Path) -> str:
    """The path as a person here would type it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def story_as_json(seen: Seen) -> dict[str, Any]:
    """One story, with stable names."""
    row = seen.row
    return {
        "title": seen.wish.title,
        "met": seen.wish.met,
        "expected": seen.wish.ends.value,
        "state": row.state.value if row else None,
        "message": row.message if row else None,
        "story_id": row.story_id if row else None,
        "submission_id": row.submission_id if row else None,
        "noticed_by": row.noticed_by if row else None,
        "webhooks": [receipt.verdict for receipt in seen.receipts],
        "video": _video_as_json(seen.video),
        "destinations": {
            name: _step_as_json(step) for name in DESTINATIONS if (step := seen.delivery(name)) is not None
        },
        "notices_told": {name: seen.told(name) for name in (SLACK, MAIL)},
    }


def _video_as_json(video: VideoRow | None) -> dict[str, Any] | None:
    if video is None:
        return None
    names = ("seconds", "bytes", "sha256", "width", "height", "video_codec", "audio_codec")
    return {name: getattr(video, name) for name in names}


def _step_as_json(step: StepRow) -> dict[str, Any]:
    names = ("state", "attempts", "url", "remark", "last_error")
    return {name: getattr(step, name) for name in names}
