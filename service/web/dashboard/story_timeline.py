"""What happened to a story, line by line, as its page tells it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from service.domain.states import Intent, Origin, Outcome, StepKind, Verdict
from service.ledger.dossier import Dossier
from service.ledger.people import Deed
from service.ledger.receipts import ReceiptRow
from service.ledger.reports import AttemptRow, StepRow
from service.ledger.stories import StoryRow

SHOWN_BODY = 4000
"""Characters of a body that the page shows; the whole is a download."""

_GOOD, _BAD, _WARN, _QUIET = "good", "bad", "warn", "quiet"
_TONES = {
    Outcome.DONE: _GOOD,
    Outcome.DEAD: _BAD,
    Outcome.RETRY: _WARN,
    Outcome.LOST: _WARN,
    Verdict.ACCEPTED: _GOOD,
    Verdict.MISMATCH: _WARN,
    Verdict.UNMATCHED: _WARN,
    Verdict.MALFORMED: _BAD,
}
_OUTCOMES = {
    Outcome.RUNNING: "under way",
    Outcome.WAITED: "not ready yet",
    Outcome.RETRY: "failed, is tried again",
    Outcome.DEAD: "gave up",
    Outcome.RELEASED: "put back",
    Outcome.LOST: "worker lost",
}
_WORK = {
    StepKind.FETCH: "Asked the Story API",
    StepKind.DOWNLOAD: "Downloaded the video",
    StepKind.NOTIFY: "Told",
    StepKind.PROGRESS: "Shown to",
    StepKind.ASK: "Approval asked of",
}


@dataclass(frozen=True)
class Body:
    """What was sent or said, as text, cut for the page; `download` names the part that gives the whole."""

    title: str
    text: str
    cut: bool
    download: str


@dataclass(frozen=True)
class Line:
    """One thing that happened. `name` tells it from all others of the story, also on the next reading.

    `tone`: good, bad, warn, quiet or ''. `took`: seconds. `times`, `until`: of several that said the same in a row.
    """

    name: str
    at: datetime
    what: str
    outcome: str = ""
    tone: str = ""
    text: str = ""
    revision: int | None = None
    took: float | None = None
    times: int = 1
    until: datetime | None = None
    body: Body | None = None


def timeline(dossier: Dossier, deeds: Sequence[Deed]) -> list[Line]:
    """All of it, oldest first; attempts in a row that said the same are one line."""
    lines = [
        _beginning(dossier.story),
        *map(_receipt, dossier.receipts),
        *_attempts(dossier),
        *(
            Line(
                f"notice-{notice.id}",
                notice.created_at,
                "Notice",
                notice.kind.replace("_", " "),
                _WARN,
                notice.title,
            )
            for notice in reversed(dossier.notices)
        ),
        *(_deed(number, deed) for number, deed in enumerate(deeds)),
        *_ends(dossier.story),
    ]
    return list(_merged(sorted(lines, key=lambda line: line.at)))


def pretty(body: bytes) -> str:
    """The body as text: JSON with its lines indented, anything else as it came."""
    text = body.decode("utf-8", "replace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def cut(title: str, text: str, download: str) -> Body:
    """The text as far as the page shows it."""
    return Body(title, text[:SHOWN_BODY], len(text) > SHOWN_BODY, download)


def _beginning(row: StoryRow) -> Line:
    route = f"Pinned to route {row.route}." if row.route else ""
    if row.origin == Origin.TRACKED:
        return Line("beginning", row.created_at, "Adopted", text=f"By hand. {route}".strip())
    if row.origin == Origin.WEBHOOK:
        said = f"By a webhook of a story that somebody else asked for. {route}".strip()
        return Line("beginning", row.created_at, "Heard of", text=said)
    price = f"Estimated at {row.estimated_credits} credits. " if row.estimated_credits is not None else ""
    asked = json.dumps(row.request, indent=2, ensure_ascii=False)
    body = cut("The request", asked, "request") if row.request else None
    return Line(
        "beginning",
        row.created_at,
        "Submitted",
        text=f"As {row.kind or 'a story'}. {price}{route}".strip(),
        body=body,
    )


def _ends(row: StoryRow) -> Iterator[Line]:
    if row.finished_at is not None:
        by = {"webhook": "A webhook said so first.", "poll": "A poll found it; no webhook had come."}
        yield Line("finished", row.finished_at, "Finished", text=by.get(row.noticed_by or "", ""))
    if row.settled_at is not None:
        yield Line("settled", row.settled_at, "Settled", tone=_GOOD, text="Nothing is left to do.")


def _receipt(receipt: ReceiptRow) -> Line:
    whence = f" from {receipt.remote}" if receipt.remote else ""
    claim = f"Claims {receipt.claimed_status or 'no status'} of {receipt.claimed_id or 'no story'}"
    body = cut("The webhook's body", pretty(receipt.body), f"webhook-{receipt.id}") if receipt.body else None
    return Line(
        f"webhook-{receipt.id}",
        receipt.received_at,
        "Webhook",
        receipt.verdict,
        _TONES.get(Verdict(receipt.verdict), ""),
        f"{claim}, by the token of {receipt.token.replace('route:', 'route ')}{whence}.",
        body=body,
    )


def _attempts(dossier: Dossier) -> Iterator[Line]:
    steps = {step.id: step for step in dossier.steps}
    for attempt in dossier.attempts:
        yield _attempt(attempt, steps[attempt.step])


def _attempt(attempt: AttemptRow, step: StepRow) -> Line:
    outcome = Outcome(attempt.outcome)
    return Line(
        f"attempt-{attempt.step}-{attempt.generation}",
        attempt.started_at,
        _what(attempt, step),
        _OUTCOMES.get(outcome, str(outcome)),
        _TONES.get(outcome, ""),
        attempt.detail,
        step.revision if attempt.kind in (StepKind.DOWNLOAD, StepKind.DELIVER) else None,
        (attempt.ended_at - attempt.started_at).total_seconds() if attempt.ended_at is not None else None,
    )


def _what(attempt: AttemptRow, step: StepRow) -> str:
    if attempt.kind == StepKind.DELIVER:
        taken_back = step.intent == Intent.WITHDRAW and attempt.generation == step.generation
        return f"{'Withdrawal from' if taken_back else 'Delivery to'} {attempt.destination}"
    work = _WORK.get(StepKind(attempt.kind), attempt.kind)
    return f"{work} {attempt.destination}".strip()


def _deed(number: int, deed: Deed) -> Line:
    what = "deletion at the Story API" if deed.action == "delete_at_api" else deed.action
    told = f"{what[:1].upper()}{what[1:]}" + (f": {deed.detail}" if deed.detail else "")
    return Line(f"deed-{number}", deed.at, f"By {deed.who}", text=told)


def _merged(lines: Sequence[Line]) -> Iterator[Line]:
    for _, alike in groupby(
        lines, key=lambda line: (line.what, line.outcome, line.text, line.body, line.revision)
    ):
        first, *others = alike
        if first.name.startswith("attempt") and others:
            yield replace(first, times=1 + len(others), until=others[-1].at, took=None)
        else:
            yield first
            yield from others
