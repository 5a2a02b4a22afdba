"""A story's fetch step: one for all its revisions, asked again and not made again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from service import tracing
from service.domain.states import ENDED_STEPS, StepKind, StepState
from service.ledger.tables import steps

_STORY_STEP = (steps.c.story, steps.c.kind, steps.c.destination, steps.c.revision)


def ask(tx: sa.Connection, story: int, at: datetime, now: datetime, *, poll: bool = False) -> None:
    """Makes the story's fetch step due at `at`, or sooner where it already is.

    A hint starts the short looks at an unready video anew; a `poll` does not, or each would be six.

    A running fetch is marked, so that it runs again: what it asked may have been before the hint.
    """
    tx.execute(
        _ASK[tx.dialect.name, poll],
        {"story": story, "next_at": at, "created_at": now, "trace": tracing.current()},
    )


def or_again(made: Any, *, poll: bool = False) -> Any:
    """The INSERT of fetch steps, which makes those that are there due again."""
    ended = steps.c.state.in_([_word(state) for state in ENDED_STEPS])
    waiting = steps.c.state == _word(StepState.PENDING)
    at = made.excluded.next_at
    sooner = sa.case((steps.c.next_at > at, at), else_=steps.c.next_at)
    none: sa.ColumnElement[Any] = sa.literal_column("NULL")
    zero: sa.ColumnElement[int] = sa.literal_column("0")
    return made.on_conflict_do_update(
        index_elements=_STORY_STEP,
        set_={
            "hints": steps.c.hints + sa.literal_column("1"),
            "state": sa.case((ended, _word(StepState.PENDING)), else_=steps.c.state),
            "next_at": sa.case((ended, at), (waiting, sooner), else_=steps.c.next_at),
            "attempts": sa.case((ended, zero), else_=steps.c.attempts),
            "waits": steps.c.waits if poll else sa.case((ended, zero), else_=steps.c.waits),
            "trace": sa.case(
                (ended, made.excluded.trace), else_=sa.func.coalesce(made.excluded.trace, steps.c.trace)
            ),
            "ended_at": sa.case((ended, none), else_=steps.c.ended_at),
        },
    )


def _word(value: StepKind | StepState) -> sa.ColumnElement[str]:
    return sa.literal_column(f"'{value}'", sa.Text())


NEW: Mapping[str, sa.ColumnElement[Any]] = {
    "kind": _word(StepKind.FETCH),
    "destination": sa.literal_column("''"),
    "revision": sa.literal_column("1"),
    "state": _word(StepState.PENDING),
    "hints": sa.literal_column("1"),
}
"""What all new fetch steps have in common."""

_VALUES = {**NEW, **{name: sa.bindparam(name) for name in ("story", "next_at", "created_at", "trace")}}
_ASK = {
    (name, poll): or_again(make(steps).values(_VALUES), poll=poll)
    for name, make in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
    for poll in (False, True)
}
"""Built once: the receiver's answer waits for it."""
