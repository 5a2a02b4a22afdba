"""`show`: all about one story, in order."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click
from rich.text import Text

from service.cli.output import facts, moment, plain, show, show_json, table, word
from service.cli.session import find_story, open_session
from service.domain.states import ENDED_STEPS, Intent, StepKind, StepState
from service.ledger.approvals import ApprovalRow
from service.ledger.dossier import Dossier, read_dossier
from service.ledger.reports import StepRow
from service.ledger.stories import StoryRow, VideoRow
from service.story_json import dossier_json
from service.video_store import BadLocation, StoreError
from service.wiring import Relay

LINK_SECONDS = 3600
"""How long the printed links work, as on pages; those in messages live longer."""

_LONGEST_NAME = len("captions.vtt")


@dataclass(frozen=True)
class File:
    """One file of the video: where it lies (None in an object store), and a link (None without keys)."""

    name: str
    path: str | None
    url: str | None


@click.command("show", epilog="\b\nstoryrelay show 3f9c")
@click.argument("story", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def show_story(story: str, as_json: bool) -> None:
    """Tell all about one story: what happened in order, its video, where it was delivered.

    ID is the story's or the submission's, or a beginning of it that is the only one.
    """
    relay = open_session()
    row = find_story(relay, story)
    with relay.ledger.read() as tx:
        dossier = read_dossier(tx, row)
    files = (
        list(_files(relay, dossier.video))
        if dossier.video is not None and not dossier.video.removed_at
        else []
    )
    if as_json:
        show_json(dossier_json(dossier, [vars(file) for file in files]))
    else:
        _show(dossier, files)


def _files(relay: Relay, video: VideoRow) -> Iterator[File]:
    names = {"video.mp4": True, "poster.jpg": video.has_poster, "captions.vtt": video.has_captions}
    for name, there in names.items():
        if there:
            key = f"{video.prefix}/{name}"
            has_keys = bool(relay.settings.secret_keys)
            url = relay.media_urls.url(key, name, LINK_SECONDS) if has_keys else None
            yield File(name, _path(relay, key), url)


def _path(relay: Relay, key: str) -> str | None:
    try:
        store = relay.video_store()
        path = store.local_path(key)
    except (BadLocation, StoreError):  # the rest is still worth telling; doctor says what is wrong with it
        return None
    return str(path) if path is not None else f"{store.location}/{key}"


def _show(dossier: Dossier, files: list[File]) -> None:
    row = dossier.story
    parts: list[Any] = [facts(_story_rows(row)), ""]
    events = [
        (moment(event.at), event.what, word(event.outcome), plain(event.text, 500))
        for event in dossier.events
    ]
    parts += [table(("when", "what", "outcome", "said"), events)]
    waiting = list(_waiting(dossier))
    if waiting:
        parts += ["", table(("next", "what", "why"), waiting)]
    if dossier.approvals:
        questions = ("approval", "route", "revision", "asked of", "until", "answer")
        parts += ["", table(questions, map(_approval_cells, dossier.approvals))]
    if dossier.deliveries:
        heads = ("destination", "state", "revision", "route", "tries", "seen at", "remark")
        parts += ["", table(heads, map(_delivery_cells, dossier.deliveries))]
    if dossier.video is not None:
        parts += ["", facts(_video_rows(dossier.video, files))]
    # not a table: a link that is folded can't be copied whole
    links = [f"{file.name.ljust(_LONGEST_NAME)}  {file.url}" for file in files if file.url is not None]
    if links:
        parts += ["", "Links, good for an hour:", *links]
    show(*parts)


def _story_rows(row: StoryRow) -> list[tuple[str, str | Text]]:
    progress = f"{row.api_status or ''} {row.progress if row.progress is not None else ''}".strip()
    credit = f"{row.used_credits:g} used" if row.used_credits is not None else ""
    priced = f"{row.estimated_credits} estimated" if row.estimated_credits is not None else ""
    return [
        ("story", row.story_id or "(not known yet)"),
        ("submission", row.submission_id),
        ("title", row.title),
        ("state", word(row.state)),
        ("because", row.message or ""),
        ("at the API", f"{progress} %" if row.progress is not None else progress),
        ("route", row.route or ""),
        ("labels", ", ".join(f"{name}={value}" for name, value in row.labels.items())),
        ("credits", ", ".join(filter(None, (credit, priced)))),
    ]


def _waiting(dossier: Dossier) -> Iterator[tuple[str, str, str]]:
    for step in dossier.steps:
        if step.state in ENDED_STEPS or (step.kind == StepKind.FETCH and step.next_at is None):
            continue
        what = f"{step.kind} {step.destination}".strip()
        question = dossier.question_of(step)
        when = moment(step.next_at) or "now" if question is None else f"once {question.destination} approves"
        yield when, f"{what} ({step.state})", plain(_why(step), 300)
    if dossier.story.next_poll_at is not None:
        yield moment(dossier.story.next_poll_at), "poll, if no webhook comes", ""


def _why(step: StepRow) -> str:
    reasons = [f"waits for {', '.join(step.waiting_for)}"] if step.waiting_for else []
    if step.intent == Intent.WITHDRAW:
        reasons.append("to be withdrawn")
    return "; ".join([*reasons, *([step.last_error] if step.last_error else [])])


def _remark(step: StepRow) -> str:
    """What is to be known of a delivery beside its state: whom it stands in for, and how it went."""
    parts = [f"instead of {step.instead_of}"] if step.instead_of else []
    if step.intent == Intent.WITHDRAW and step.state == StepState.DEAD:
        parts.append("not withdrawn")
    elif step.intent == Intent.WITHDRAW and step.state not in ENDED_STEPS:
        parts.append("to be withdrawn")
    said = step.last_error if step.state == StepState.DEAD else step.remark or step.last_error
    return "; ".join([*parts, *([said] if said else [])])


def _delivery_cells(step: StepRow) -> tuple[str | Text, ...]:
    return (
        step.destination,
        word(step.state),
        str(step.revision),
        step.route,
        str(step.attempts),
        step.url or "",
        plain(_remark(step), 300),
    )


def _approval_cells(row: ApprovalRow) -> tuple[str | Text, ...]:
    until = moment(row.expires_at) if row.is_open else ""
    return word(row.state), row.route, str(row.revision), row.destination, until, plain(row.told, 300)


def _video_rows(video: VideoRow, files: list[File]) -> list[tuple[str, str]]:
    codecs = " + ".join(filter(None, (video.video_codec, video.audio_codec)))
    length = f"{video.seconds:.1f} s, {video.width}×{video.height}, {_size(video.bytes)}, {codecs}"
    pruned = [("pruned", moment(video.removed_at))] if video.removed_at is not None else []
    return [
        ("video", length),
        ("sha256", video.sha256),
        *pruned,
        *((file.name, file.path or "") for file in files),
    ]


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
