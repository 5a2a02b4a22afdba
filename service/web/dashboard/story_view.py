"""What a story's page shows, made of what the ledger has of it."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from service.domain.states import ENDED_STEPS, UNFINISHED_STORIES, Intent, StepKind, StepState, StoryState
from service.ledger import Ledger, people
from service.ledger.approvals import ApprovalRow
from service.ledger.dossier import Dossier, read_dossier
from service.ledger.reports import StepRow
from service.ledger.stories import StoryRow, VideoRow
from service.story_api.story import NoStory, read_story
from service.web.dashboard.story_timeline import Line, timeline

MOST_DEEDS = 100
_MARGIN = timedelta(seconds=1)
LANGUAGES = {
    "Arabic": "ar", "Chinese": "zh", "English": "en", "French": "fr", "German": "de", "Hindi": "hi",
    "Japanese": "ja", "Korean": "ko", "Spanish": "es", "Turkish": "tr",
}  # fmt: skip
"""The Story API's languages as browsers name them."""


@dataclass(frozen=True)
class Result:
    """Where a delivery stands. `url`: only what a browser may follow."""

    destination: str
    word: str
    tone: str
    url: str | None
    text: str
    revision: int


@dataclass(frozen=True)
class Next:
    """Something that is to happen: when, what, and why it waits. `at` None: when `otherwise` says."""

    at: datetime | None
    what: str
    why: str
    otherwise: str = "now"


@dataclass(frozen=True)
class StoryView:
    """Everything on the page but its buttons."""

    row: StoryRow
    name: str
    video: VideoRow | None
    state: str
    tone: str
    facts: Sequence[tuple[str, str]]
    results: Sequence[Result]
    next: Sequence[Next]
    questions: Sequence[ApprovalRow]
    lines: Sequence[Line]
    is_live: bool
    print: str

    @property
    def language(self) -> str:
        """The captions' language as browsers name it."""
        return LANGUAGES.get(str(self.row.request.get("language") or "English"), "en")


def read_view(ledger: Ledger, row: StoryRow) -> StoryView:
    """Reads the ledger once."""
    with ledger.read() as tx:
        dossier = read_dossier(tx, row)
        names = [name for name in (row.story_id, row.submission_id) if name is not None]
        deeds = people.deeds_about(tx, names, row.created_at - _MARGIN, MOST_DEEDS)
    results = [_result(step) for step in dossier.deliveries]
    waiting = list(_next(dossier))
    told = _told(row)
    state, tone = _state(row, results)
    return StoryView(
        row=row,
        name=row.title.strip() or told["idea"][:80] or row.name,
        video=dossier.video,
        state=state,
        tone=tone,
        facts=list(_facts(row, told, dossier.video)),
        results=results,
        next=waiting,
        questions=[each for each in dossier.approvals if each.revision == row.revision],
        lines=timeline(dossier, deeds),
        is_live=bool(waiting) or row.state in UNFINISHED_STORIES,
        print=_print(dossier),
    )


def _told(row: StoryRow) -> Mapping[str, str]:
    """What the Story API's last answer, or else our own request, says of the story."""
    asked = {name: str(row.request.get(name) or "") for name in ("idea", "aspect_ratio", "language")}
    try:
        story = read_story(row.snapshot)
    except NoStory:
        return asked
    return asked | {
        "idea": story.idea or asked["idea"],
        "aspect_ratio": story.aspect_ratio or asked["aspect_ratio"],
    }


def _facts(row: StoryRow, told: Mapping[str, str], video: VideoRow | None) -> Iterator[tuple[str, str]]:
    used = f"{row.used_credits:g} used" if row.used_credits is not None else ""
    estimated = f"{row.estimated_credits} estimated" if row.estimated_credits is not None else ""
    percent = f", {row.progress} %" if row.progress is not None else ""
    yield from _said(
        {
            "Idea": told["idea"],
            "Story API's id": row.story_id or "not known yet",
            "Submission": row.submission_id,
            "At the Story API": f"{row.api_status}{percent}" if row.api_status else "",
            "Route": row.route or "by each route's conditions",
            "Labels": ", ".join(f"{name} = {value}" for name, value in row.labels.items()),
            "Language": told["language"],
            "Aspect ratio": told["aspect_ratio"],
            "Credits": ", ".join(filter(None, (used, estimated))),
        }
    )
    if video is not None:
        codecs = " + ".join(filter(None, (video.video_codec, video.audio_codec)))
        size = f"{video.seconds:.1f} s, {video.width}×{video.height}, {_size(video.bytes)}, {codecs}"
        yield from _said({"Video": size, "Revision": str(video.revision), "SHA-256": video.sha256})


def _said(facts: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in facts.items() if value]


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def _state(row: StoryRow, results: Sequence[Result]) -> tuple[str, str]:
    """Where the story stands, in a sentence, and its tone."""
    why = f": {row.message}" if row.message else ""
    percent = f" ({row.progress} % done)" if row.progress is not None else ""
    sentences = {
        StoryState.SUBMITTING: ("The Story API is being asked for it.", ""),
        StoryState.UNCONFIRMED: (
            f"The Story API did not say whether it makes it{why}. A webhook would tell; else look in the "
            "provider's console, and adopt the story by its id.",
            "warn",
        ),
        StoryState.OPEN: (f"The Story API is making it{percent}.", ""),
        StoryState.FAILED: (f"The Story API could not make it{why}.", "bad"),
        StoryState.UNKNOWN: (f"The Story API does not know it{why}.", "bad"),
        StoryState.GIVEN_UP: (f"It was given up{why}.", "bad"),
        StoryState.CANCELLED: (f"It was cancelled{why}.", "warn"),
        StoryState.SETTLING: (_on_its_way(results), ""),
        StoryState.SETTLED: _settled(row, results),
    }
    sentence, tone = sentences[row.state]
    return sentence.replace("..", "."), tone


def _on_its_way(results: Sequence[Result]) -> str:
    if not results:
        return "The video is finished, and is being fetched and checked."
    done = sum(result.tone == "good" for result in results)
    return f"The video is here and being delivered: {done} of {len(results)} done."


def _settled(row: StoryRow, results: Sequence[Result]) -> tuple[str, str]:
    there = [result.destination for result in results if result.tone == "good"]
    dead = [result.destination for result in results if result.tone == "bad"]
    if dead:
        also = f" It is at {', '.join(there)}." if there else ""
        return (
            f"Not everything worked: {', '.join(dead)} gave up.{also} Once that is mended, replay it.",
            "bad",
        )
    if row.message:
        return f"Done: {row.message}.", ""
    if not results:
        return "The video is here. No route led anywhere, so nothing was delivered.", "warn"
    return (f"Done: it is at {', '.join(there)}." if there else "Done."), "good"


_WORDS = {
    StepState.PENDING: ("waiting", ""),
    StepState.QUEUED: ("queued", ""),
    StepState.RUNNING: ("being sent", ""),
    StepState.DONE: ("published", "good"),
    StepState.DEAD: ("gave up", "bad"),
    StepState.CANCELLED: ("not delivered", "quiet"),
}


def _result(step: StepRow) -> Result:
    state = StepState(step.state)
    word, tone = _WORDS[state]
    if step.intent == Intent.WITHDRAW:
        word = "withdrawn" if state == StepState.CANCELLED else f"to be withdrawn: {word}"
        word = "not withdrawn: gave up" if state == StepState.DEAD else word
    instead = f"instead of {step.instead_of}" if step.instead_of else ""
    said = step.last_error if state in (StepState.DEAD, StepState.PENDING) else step.remark
    return Result(
        step.destination,
        word,
        tone,
        step.url if step.url and step.url.startswith(("https://", "http://")) else None,
        "; ".join(filter(None, (instead, said, None if _is_link(step.url) else step.url))),
        step.revision,
    )


def _is_link(url: str | None) -> bool:
    return url is not None and url.startswith(("https://", "http://"))


def _next(dossier: Dossier) -> Iterator[Next]:
    for step in dossier.steps:
        if step.state in ENDED_STEPS or (step.kind == StepKind.FETCH and step.next_at is None):
            continue
        question = dossier.question_of(step)
        if question is not None:
            yield Next(None, _work(step), _why(step), f"once {question.destination} approves")
            continue
        yield Next(step.next_at if step.state == StepState.PENDING else None, _work(step), _why(step))
    if dossier.story.next_poll_at is not None:
        yield Next(dossier.story.next_poll_at, "The Story API is asked again, if no webhook comes before", "")


def _work(step: StepRow) -> str:
    what = {
        StepKind.FETCH: "The Story API is asked",
        StepKind.DOWNLOAD: "The video is downloaded and checked",
        StepKind.DELIVER: f"It is delivered to {step.destination}",
        StepKind.NOTIFY: f"{step.destination} is told of trouble",
        StepKind.PROGRESS: f"{step.destination} is shown how it gets on",
        StepKind.ASK: f"{step.destination} is asked for approval",
    }
    if step.intent == Intent.WITHDRAW:
        return f"It is withdrawn from {step.destination}"
    return what.get(StepKind(step.kind), f"{step.kind} {step.destination}")


def _why(step: StepRow) -> str:
    waits = f"waits for {', '.join(step.waiting_for)}" if step.waiting_for else ""
    return "; ".join(filter(None, (waits, step.last_error)))


def _print(dossier: Dossier) -> str:
    """Changes when what people decide by does: a form that was made before then is too old."""
    row = dossier.story
    facts: list[Any] = [row.state, row.revision]
    facts += [
        (step.id, step.state, step.intent, step.repeat)
        for step in dossier.steps
        if step.kind != StepKind.FETCH
    ]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
