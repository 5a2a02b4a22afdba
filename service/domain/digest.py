"""The daily digest: what happened on a day, in words for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import quote
from zoneinfo import ZoneInfo

from service.domain.notice_words import in_many
from service.domain.results import RESULTS
from service.domain.spoken_time import lasted

SHOWN = 5
LONGEST_TITLE = 100
"""With `SHOWN`: all of it fits into one block of Slack, 3,000 characters."""


@dataclass(frozen=True)
class Day:
    """A day by the clocks of `zone`; it is 23 or 25 hours long where summer time begins or ends."""

    date: date
    zone: ZoneInfo

    @property
    def begins(self) -> datetime:
        """Its first moment (UTC)."""
        return datetime.combine(self.date, time(), tzinfo=self.zone).astimezone(UTC)

    @property
    def ends(self) -> datetime:
        """The first moment of the day after (UTC)."""
        return Day(self.date + timedelta(days=1), self.zone).begins

    def __str__(self) -> str:
        return f"{self.date:%A}, {self.date.day} {self.date:%B %Y}"


@dataclass(frozen=True)
class Named:
    """A title, and the submission's id of the story that it is about."""

    title: str
    story: str


@dataclass(frozen=True)
class Numbers:
    """What the ledger tells of a day.

    `results`: how many stories came in, by what they came to (`service.domain.results`); `credits`: what they cost.
    `published`: of so many stories half took at most `typical` seconds from the news to the last destination, and
    `slowest` the longest. `finished`: submissions of ours that were finished; no webhook came for `missed` of them.
    `noted`: what people were told of, by kind; `worst`: what failed, the newest first. Of now, not of the
    day: `troubles` (title, since when), and `questions` that wait for an answer.
    """

    results: Mapping[str, int] = field(default_factory=dict)
    credits: float = 0.0
    published: int = 0
    typical: float = 0.0
    slowest: float = 0.0
    slowest_story: Named | None = None
    finished: int = 0
    missed: int = 0
    noted: Mapping[str, int] = field(default_factory=dict)
    worst: Sequence[Named] = ()
    troubles: Sequence[tuple[str, datetime]] = ()
    questions: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not any(
            (self.results, self.published, self.finished, self.noted, self.troubles, self.questions)
        )


def words(day: Day, numbers: Numbers, address: str, now: datetime) -> tuple[str, str]:
    """The title, and the text in paragraphs of lines; `address` is the dashboard's, without a slash at its end."""
    if numbers.is_empty:
        return f"{day}: a quiet day", f"No story came in, nothing failed, nothing is troubling.\n{address}/"
    came = sum(numbers.results.values())
    title = f"{day}: {_count(came, 'story', 'stories')}{_results(numbers, ', ')}"
    if not came and numbers.published:
        title = f"{day}: no new story, {numbers.published:,} of the days before published"
    parts = (
        "\n".join(filter(None, (_stories(numbers, came), _times(numbers, address), _webhooks(numbers)))),
        _worst(numbers, address),
        _troubles(numbers, address, now),
        f"{_count(numbers.questions, 'question waits', 'questions wait')} for an answer: {address}/approvals"
        if numbers.questions
        else "",
        f"{address}/",
    )
    return title, "\n\n".join(filter(None, parts))


def _results(numbers: Numbers, before: str) -> str:
    told = [f"{numbers.results[name]:,} {name}" for name in RESULTS if numbers.results.get(name)]
    return before + ", ".join(told) if told else ""


def _stories(numbers: Numbers, came: int) -> str:
    if not came:
        return "No story came in."
    spent = f" They cost {numbers.credits:,.0f} credits." if numbers.credits else ""
    return f"{_count(came, 'story', 'stories')} came in{_results(numbers, ': ')}.{spent}"


def _times(numbers: Numbers, address: str) -> str:
    if not numbers.published:
        return ""
    slowest = f"\n• {_link(numbers.slowest_story, address)}" if numbers.slowest_story is not None else ""
    return (
        f"From the news of {_count(numbers.published, 'story', 'stories')} to the last destination: half within "
        f"{_span(numbers.typical)}, the slowest {_span(numbers.slowest)}.{slowest}"
    )


def _webhooks(numbers: Numbers) -> str:
    if not numbers.missed:
        return ""
    finished = _count(numbers.finished, "finished story", "finished stories")
    return f"Webhooks: none came for {numbers.missed:,} of {finished}; polling found them."


def _worst(numbers: Numbers, address: str) -> str:
    if not numbers.noted:
        return ""
    told = ", ".join(in_many(kind, count) for kind, count in sorted(numbers.noted.items()))
    lines = [
        f"What people were told of: {told}.",
        *(f"• {_link(each, address)}" for each in numbers.worst[:SHOWN]),
    ]
    return "\n".join((*lines, f"All of it: {address}/notices"))


def _troubles(numbers: Numbers, address: str, now: datetime) -> str:
    if not numbers.troubles:
        return ""
    spans = [(title, lasted((now - since).total_seconds())) for title, since in numbers.troubles]
    lines = [f"• {_cut(title)}, for {span}" for title, span in spans[:SHOWN]]
    left = f"… and {len(spans) - SHOWN} more: " if len(spans) > SHOWN else ""
    return "\n".join(("Still troubling:", *lines, f"{left}{address}/notices"))


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else lasted(seconds)


def _link(named: Named, address: str) -> str:
    return f"{_cut(named.title)}: {address}/stories/{quote(named.story, safe='')}"


def _cut(text: str) -> str:
    line = " ".join(text.split()) or "without a title"
    return line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 1] + "…"
