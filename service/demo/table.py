"""The demo's stories as a table for people. What a story says is untrusted: it is shown as plain text."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from service.demo.stories import DESTINATIONS
from service.demo.watching import Seen
from service.domain.states import StepKind, StepState, StoryState
from service.domain.stories import text
from service.ledger.reports import StepRow

_COLOURS = {
    StoryState.SETTLED: "green",
    StoryState.FAILED: "yellow",
    StoryState.GIVEN_UP: "yellow",
    StoryState.UNKNOWN: "red",
    StoryState.CANCELLED: "red",
}
_MARKS = {
    StepState.PENDING: ("…", "dim"),
    StepState.QUEUED: ("…", "dim"),
    StepState.RUNNING: ("▶", "cyan"),
    StepState.DONE: ("✓", "green"),
    StepState.DEAD: ("✗", "red"),
    StepState.CANCELLED: ("–", "dim"),
}


def progress_table(seen: Sequence[Seen], seconds: float) -> Table:
    """One line a story: how it stands, `seconds` after the start."""
    table = _table(f"{seconds:.0f} s", "Stands", "Noticed")
    for story in seen:
        marks = [_mark(story, name) for name in DESTINATIONS]
        table.add_row(_title(story), stands(story), _noticed(story), *marks)
    return table


def final_table(seen: Sequence[Seen]) -> Table:
    """All there is to know of each story; the second line of a row is the more particular."""
    table = _table("Story", "Ended", "Video")
    for story in seen:
        marks = [_result(story, name) for name in DESTINATIONS]
        table.add_row(_with_misfortune(story), _ended(story), _video(story), *marks)
    return table


def stands(seen: Seen) -> Text:
    """How a story stands, in a word or two."""
    if seen.row is None:
        return Text("waits", style="dim")
    state = seen.row.state
    if state == StoryState.OPEN:
        progress = f" {seen.row.progress} %" if seen.row.progress else ""
        return Text(f"being made{progress}")
    if state == StoryState.SETTLING:
        publishing = any(step.kind == StepKind.DELIVER for step in seen.steps)
        return Text("publishing" if publishing else "downloading", style="cyan")
    return Text(state.value.replace("_", " "), style=_COLOURS.get(state, ""))


def size(count: int) -> str:
    """Bytes as people read them: 41.8 kB (of 1,000)."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column(first, overflow="fold", min_width=18)  # the one that gives way on a narrow terminal
    for name in others:
        table.add_column(name, no_wrap=True)
    for name in DESTINATIONS:
        table.add_column(name, justify="center", no_wrap=True)
    return table


def _title(seen: Seen) -> Text:
    return Text(text(seen.wish.title, 200), no_wrap=True, overflow="ellipsis")


def _noticed(seen: Seen) -> Text:
    return Text((seen.row.noticed_by if seen.row else None) or "", style="dim")


def _mark(seen: Seen, destination: str) -> Text:
    step = seen.delivery(destination)
    if step is None:
        return Text("")
    return Text("↻", style="yellow") if _is_retried(step) else _state_mark(step)


def _state_mark(step: StepRow) -> Text:
    mark, style = _MARKS[StepState(step.state)]
    return Text(mark, style=style)


def _is_retried(step: StepRow) -> bool:
    return step.state == StepState.PENDING and step.attempts > 0


def _with_misfortune(seen: Seen) -> Text:
    return _lines([Text(text(seen.wish.title, 200)), Text(seen.wish.met, style="dim")])


def _ended(seen: Seen) -> Text:
    noticed = seen.row.noticed_by if seen.row else None
    return _lines([stands(seen), Text(f"by {noticed}" if noticed else "", style="dim")])


def _video(seen: Seen) -> Text:
    if seen.video is not None:
        facts = f"{seen.video.seconds:.1f} s, {size(seen.video.bytes)}"
        return _lines([Text(facts), Text(f"sha256 {seen.video.sha256[:7]}", style="dim")])
    return Text("none", style="dim")


def _result(seen: Seen, destination: str) -> Text:
    step = seen.delivery(destination)
    if step is None:
        return Text("–", style="dim")
    tries = Text(f"try {step.attempts}" if step.attempts > 1 else "", style="dim")
    return _lines([_state_mark(step), tries])


def _lines(lines: Iterable[Text]) -> Text:
    return Text("\n").join(line for line in lines if line.plain)
