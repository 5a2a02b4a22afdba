"""Shows how the stories come along: a live table on a terminal, a line for each change elsewhere."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from service.demo.stories import DESTINATIONS
from service.demo.table import progress_table, stands
from service.demo.watching import Seen
from service.domain.states import StepState, StoryState
from service.domain.stories import text


class Progress:
    """Shows within its `with` block."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[str, str] = {}
        self._live: Live | None = None
        if console.is_terminal and not console.is_dumb_terminal:
            self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, seen: Sequence[Seen], seconds: float) -> None:
        """Shows how they stand, `seconds` after the start."""
        if self._live is not None:
            self._live.update(progress_table(seen, seconds), refresh=True)
            return
        for story in seen:
            if story.row is None or story.row.state == StoryState.SUBMITTING:
                continue
            said = _in_words(story)
            if self._said.get(story.wish.title) != said:
                self._said[story.wish.title] = said
                self._console.print(
                    Text(f"{seconds:5.1f} s  {text(story.wish.title, 60)}: {said}"), soft_wrap=True
                )


def _in_words(seen: Seen) -> str:
    """Without percents, which would make a line each."""
    done = [n for n in DESTINATIONS if (s := seen.delivery(n)) is not None and s.state == StepState.DONE]
    where = f", at {', '.join(done)}" if done else ""
    noticed = f", noticed by {seen.row.noticed_by}" if seen.row and seen.row.noticed_by else ""
    return stands(seen).plain.partition(" %")[0].rstrip("0123456789 ") + noticed + where
