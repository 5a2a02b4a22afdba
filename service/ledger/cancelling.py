"""Stops what is still to be done of a story, in the caller's transaction that holds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from service.domain.states import Intent, StepKind, StepState, StoryState
from service.ledger import approvals, forgetting, progress_steps, reports, stories
from service.ledger.reports import StepRow
from service.ledger.stories import StoryRow
from service.ledger.tables import steps

_WORK = (StepKind.FETCH, StepKind.DOWNLOAD, StepKind.DELIVER)


@dataclass(frozen=True)
class Stopped:
    """What a cancelled story leaves: where it is already, where it is just being sent to, where it will not go."""

    published: Sequence[str]
    under_way: Sequence[str]
    spared: Sequence[str]


def cancel(tx: sa.Connection, row: StoryRow, who: str, now: datetime) -> Stopped:
    """Cancels a locked story: it is polled no more, and no step of it begins any more but withdrawals.

    What runs at this moment ends by itself; its handler begins no second attempt, and nothing follows from it.
    """
    tx.execute(
        sa.update(steps)
        .where(
            steps.c.story == row.id,
            steps.c.kind.in_(_WORK),
            steps.c.state.in_((StepState.PENDING, StepState.QUEUED)),
            steps.c.intent == Intent.PUBLISH,
        )
        .values(
            state=StepState.CANCELLED,
            next_at=None,
            waiting_for=None,
            ended_at=now,
            remark=f"cancelled by {who}",
        )
    )
    approvals.close_idle(tx, row.id, f"the story was cancelled by {who}", now)
    forgetting.discard_unfinished(tx, row, now)
    stopped = _stopped(reports.steps_of(tx, row.id))
    there = f"; it stays at {', '.join(stopped.published)}" if stopped.published else ""
    stories.change(
        tx,
        row.id,
        now,
        state=StoryState.CANCELLED,
        message=f"cancelled by {who}{there}",
        next_poll_at=None,
    )
    progress_steps.ask(tx, row.id, now)
    return stopped


def _stopped(known: Sequence[StepRow]) -> Stopped:
    newest = {step.destination: step for step in known if step.kind == StepKind.DELIVER}
    meant = [step for step in newest.values() if step.intent == Intent.PUBLISH]
    there = {step.destination for step in known if step.kind == StepKind.DELIVER and _is_there(step)}
    return Stopped(
        published=sorted(there),
        under_way=sorted(step.destination for step in meant if step.state == StepState.RUNNING),
        spared=sorted(step.destination for step in meant if step.state == StepState.CANCELLED),
    )


def _is_there(step: StepRow) -> bool:
    return step.intent == Intent.PUBLISH and step.state == StepState.DONE and step.remark != "superseded"
