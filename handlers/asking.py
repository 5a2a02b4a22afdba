"""The ask step: asks people at one destination whether a story may go on, reminds them, shows how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
import structlog

from handlers.attempt import Attempt, while_down
from handlers.places import admit, failure, open_connector
from handlers.publications import story_facts
from service.connectors import asking
from service.domain.approvals import ApprovalState, Question
from service.domain.delivery import DeliveryFailed, Published, Reference
from service.domain.notices import NoticeKind, Trouble
from service.domain.steps import ClaimedStep, Done, Later, StepFailed
from service.ledger import approvals, notices, progress_steps, steps, stories
from service.ledger.approvals import ApprovalRow
from service.ledger.stories import StoryRow
from service.wiring import Relay

log = structlog.get_logger()


def work(relay: Relay, step: ClaimedStep, attempt: Attempt) -> Done | Later:
    """Shows each question as it stands. Raises StepFailed."""
    row = attempt.story()
    destination = step.lane.destination
    with relay.ledger.read() as tx:
        rows = approvals.asked_at(tx, row.id, step.revision, destination)
        waiting = {each.id: tuple(approvals.waiting_for(tx, each)) for each in rows}
        own = progress_steps.deliveries(tx, row.id).get(destination)
    if own is not None and own.withdrawn and own.called:
        return Done("it was taken back from here", reached=False)
    later = admit(relay, step, attempt)
    if later is not None:
        return later
    kept = _Kept(relay, step)
    try:
        connector = asking(open_connector(relay, destination, attempt.stop_reason))
        if connector is None and not any(each.is_open for each in rows):
            return Done("it asks nobody any more", reached=False)
        if connector is None:
            raise StepFailed("its connector can't ask anybody", permanent=True)
        shown = Published()
        for each in rows:
            about = _About(row, each, waiting[each.id], own.reference if own is not None else {})
            shown = connector.ask(_question(relay, about, kept, attempt))
    except DeliveryFailed as error:
        attempt.check()
        raise failure(error) from error
    said = shown.remark or "asked"
    return Done(said, reference=kept.known, url=shown.url, remark=shown.remark or None)


def dead(relay: Relay, tx: sa.Connection, step: ClaimedStep, message: str, now: datetime) -> None:
    """Tells people where else they can answer: the deliveries go on waiting."""
    row = stories.lock(tx, step.story_key)
    rows = approvals.asked_at(tx, row.id, step.revision, step.lane.destination)
    if not any(each.is_open for each in rows):
        log.warning("approval.unshown", step=step.id, destination=step.lane.destination, error=message)
        return
    trouble = Trouble(
        key=f"{NoticeKind.APPROVAL_UNASKED}/{step.id}/{step.hints}",
        kind=NoticeKind.APPROVAL_UNASKED,
        title=f"Nobody could be asked: {row.heading}",
        text=f"{step.lane.destination} could not be asked whether story {row.name} may go on: {message}\n"
        f"Approve or reject it on the dashboard: {relay.settings.public_url}/approvals",
        story=row.id,
        about=step.lane.destination,
    )
    notices.add(tx, trouble, relay.configuration.notices, now)


@dataclass(frozen=True)
class _About:
    story: StoryRow
    approval: ApprovalRow
    waiting: tuple[str, ...]
    publication: Mapping[str, Any]


class _Kept:
    """What the place told us of each question, in the step's one reference."""

    def __init__(self, relay: Relay, step: ClaimedStep) -> None:
        self._relay = relay
        self._step = step
        self.known: dict[str, Any] = dict(step.reference)

    def of(self, approval: int) -> Reference:
        found: Mapping[str, Any] = self.known.get(str(approval)) or {}
        return found

    def save(self, approval: int, reference: Reference) -> None:
        self.known[str(approval)] = dict(reference)
        while_down(self._write)

    def _write(self) -> None:
        with self._relay.ledger.write() as tx:
            steps.save_reference(tx, self._step, self.known)


def _question(relay: Relay, about: _About, kept: _Kept, attempt: Attempt) -> Question:
    row = about.approval
    asked = int(row.asked_at.timestamp())
    return Question(
        story=story_facts(about.story, row.revision),
        destination=row.destination,
        route=row.route,
        waiting=about.waiting,
        key=f"storyrelay-{about.story.submission_id}-approval-{row.id}-{asked}",
        told=_told(row),
        version=f"{row.state}-{row.late_clicks}",
        reminded=row.is_open and row.reminded_at is not None,
        asked_at=row.asked_at,
        expires_at=row.expires_at,
        button=relay.approval_urls.button(row.id, row.asked_at),
        link=relay.approval_urls.link(row.id, row.asked_at),
        publication=about.publication,
        reference=kept.of(row.id),
        save=partial(kept.save, row.id),
        check=attempt.check,
    )


def _told(row: ApprovalRow) -> str:
    """How it ended, with when, and that later answers changed nothing."""
    if row.is_open:
        return ""
    said = row.told[:1].upper() + row.told[1:]
    if row.state != ApprovalState.SUPERSEDED and row.decided_at is not None:
        said += f" ({row.decided_at:%Y-%m-%d %H:%M} UTC)"
    return f"{said}. A later click changed nothing." if row.late_clicks else said
