"""Answers to questions: the first one counts, and lets deliveries go or ends them in the same transaction.

Every function takes an open transaction and locks the story first.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from service.domain.approvals import ApprovalState, Decision, Through
from service.domain.people import Doer
from service.domain.states import Intent, StepState
from service.ledger import deliveries, people, progress_steps, stories
from service.ledger.approval_tables import approvals
from service.ledger.approvals import LONGEST_NOTE, ApprovalRow, read, show, waits
from service.ledger.tables import is_pending
from service.ledger.tables import steps as step_table

_DEEDS = {ApprovalState.APPROVED: "approve", ApprovalState.REJECTED: "reject"}


@dataclass(frozen=True)
class Decided:
    """The question as it stands now, and whether it was this decision that counted."""

    row: ApprovalRow
    won: bool


def decide(
    tx: sa.Connection, key: int, decision: Decision, now: datetime, asked_at: datetime | None = None
) -> Decided | None:
    """Decides an open question and lets its deliveries go, or ends them; the first decision counts.

    `asked_at`: the asking that is answered, by its second; a link of an earlier asking decides nothing.
    None: there is no such question.
    """
    row = _held(tx, key)
    if row is None:
        return None
    if asked_at is not None and int(row.asked_at.timestamp()) != int(asked_at.timestamp()):
        return None
    won = tx.execute(
        sa.update(approvals)
        .where(approvals.c.id == key, approvals.c.state == ApprovalState.ASKED)
        .values(
            state=decision.state,
            decided_by=decision.who,
            decided_through=decision.through,
            decided_at=now,
            remind_at=None,
            note=decision.note[:LONGEST_NOTE],
        )
    ).rowcount
    if not won:
        late = sa.update(approvals).where(approvals.c.id == key)
        if decision.through == Through.SLACK:  # whose message has buttons no more: it says so there
            tx.execute(late.values(late_clicks=approvals.c.late_clicks + 1))
            show(tx, row, now)
        return Decided(read(tx, key) or row, won=False)
    decided = read(tx, key) or row
    _follow(tx, decided, decision, now)
    return Decided(decided, won=True)


def remind(tx: sa.Connection, key: int, now: datetime) -> bool:
    """Has people reminded once of an open question whose time has come; False where another did it."""
    row = _held(tx, key)
    if row is None:
        return False
    changed = tx.execute(
        sa.update(approvals)
        .where(
            approvals.c.id == key,
            approvals.c.state == ApprovalState.ASKED,
            approvals.c.remind_at <= now,
        )
        .values(remind_at=None, reminded_at=now)
    )
    if changed.rowcount == 1:
        show(tx, row, now)
    return changed.rowcount == 1


def _follow(tx: sa.Connection, row: ApprovalRow, decision: Decision, now: datetime) -> None:
    story = stories.lock(tx, row.story)
    if decision.state == ApprovalState.APPROVED:
        tx.execute(sa.update(step_table).where(*waits(tx, row), is_pending).values(next_at=now))
    else:
        cancel = sa.update(step_table).where(
            *waits(tx, row),
            step_table.c.state.in_((StepState.PENDING, StepState.QUEUED)),
            step_table.c.intent == Intent.PUBLISH,
        )
        over = {"state": StepState.CANCELLED, "next_at": None, "waiting_for": None, "ended_at": now}
        tx.execute(cancel.values(**over, remark=row.told, last_error=None))
        deliveries.wake(tx, row.story, now)
        stories.settle_if_over(tx, row.story, now)
    progress_steps.ask(tx, row.story, now)
    show(tx, row, now)
    deed = _DEEDS.get(decision.state)
    if deed is not None:
        detail = f"route {row.route}, through {decision.through}" + (f": {row.note}" if row.note else "")
        people.note_deed(tx, Doer(decision.who, decision.remote), now, deed, story.about, detail)


def _held(tx: sa.Connection, key: int) -> ApprovalRow | None:
    """The question as it stands once its story is locked; None where one of them is gone."""
    row = read(tx, key)
    if row is None or stories.lock_if_there(tx, row.story) is None:
        return None
    return read(tx, key)
