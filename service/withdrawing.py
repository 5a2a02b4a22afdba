"""Takes a story back from the destinations that have it, because a person wants it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from service.configuration import Configuration
from service.domain.people import Doer
from service.domain.states import ENDED_STEPS, Intent, StepKind, StepState, StoryState
from service.domain.steps import Lane
from service.ledger import Ledger, deliveries, people, stories
from service.ledger.deliveries import Delivery
from service.ledger.replays import hasten
from service.ledger.stories import StoryRow


class NothingToWithdraw(Exception):
    """The story is nowhere and on its way to nowhere; the message says why."""


class Undone(StrEnum):
    """What a withdrawal did with one destination."""

    DUE = "due"  # it has the story, or a part of it, and is asked to let it go
    CANCELLED = "cancelled"  # its delivery had not begun and never will
    AFTER_THIS = "after this"  # it is getting the story just now; then it is asked to let it go
    UNDER_WAY = "under way"  # an earlier withdrawal is not over yet
    WITHDRAWN = "withdrawn"  # it was withdrawn already
    ABSENT = "absent"  # the story never went there
    NOT_CONFIGURED = "not configured"  # it is gone from the configuration, so nobody can ask it


@dataclass(frozen=True)
class Undoing:
    """One destination and what was done with it."""

    destination: str
    done: Undone


@dataclass(frozen=True)
class Withdrawn:
    """What came of a withdrawal: the story as it stands now, and every destination that was meant."""

    story: StoryRow
    actions: tuple[Undoing, ...]

    @property
    def lanes(self) -> list[Lane]:
        """Where something may be due now."""
        asked = (Undone.DUE, Undone.UNDER_WAY)
        return [Lane(StepKind.DELIVER, each.destination) for each in self.actions if each.done in asked]

    @property
    def in_vain(self) -> bool:
        """Whether nothing of what was asked for is done, or will be."""
        idle = (Undone.ABSENT, Undone.NOT_CONFIGURED)
        return all(each.done in idle for each in self.actions)


@dataclass(frozen=True)
class Withdrawing:
    """One transaction a withdrawal, which locks the story first and its steps second, as handlers do.

    The newest delivery to a destination becomes its withdrawal: the same step, so that the two never run at once.
    """

    ledger: Ledger
    configuration: Configuration
    now: Callable[[], datetime]

    def withdraw(self, key: int, destinations: Sequence[str] = (), *, by: Doer | None = None) -> Withdrawn:
        """Takes the story back from all destinations that have it, or from these.

        `by`: who wants it, for the audit log. Raises NothingToWithdraw.
        """
        now = self.now()
        with self.ledger.write() as tx:
            row = stories.lock(tx, key)
            held = deliveries.hold(tx, key)
            if not held:
                raise NothingToWithdraw(
                    f"story {row.name} is {row.state} and went to no destination: there is nothing to withdraw"
                )
            wanted = tuple(dict.fromkeys(destinations)) or tuple(held)
            actions = tuple(self._undo(tx, name, held, now) for name in wanted)
            self._conclude(tx, row, actions, now)
            told = ", ".join(f"{each.destination} {each.done}" for each in actions)
            people.note_deed(tx, by, now, "withdraw", row.about, told)
            return Withdrawn(stories.lock(tx, key), actions)

    def _undo(
        self, tx: sa.Connection, name: str, held: Mapping[str, Sequence[Delivery]], now: datetime
    ) -> Undoing:
        rows = held.get(name)
        if not rows:
            return Undoing(name, Undone.ABSENT)
        if all(row.never_ran for row in rows):
            return Undoing(name, _cancel(tx, rows, now))
        if rows[0].is_withdrawn and rows[0].state != StepState.DEAD:
            return Undoing(name, _again(tx, rows[0], now))
        if name not in self.configuration.destinations:
            return Undoing(name, Undone.NOT_CONFIGURED)
        deliveries.turn(tx, rows[0].id, Intent.WITHDRAW, now)
        return Undoing(name, Undone.AFTER_THIS if rows[0].state == StepState.RUNNING else Undone.DUE)

    def _conclude(self, tx: sa.Connection, row: StoryRow, actions: Sequence[Undoing], now: datetime) -> None:
        deliveries.wake(tx, row.id, now)
        done = {each.done for each in actions}
        if row.state == StoryState.SETTLED and Undone.DUE in done:
            stories.change(tx, row.id, now, state=StoryState.SETTLING, settled_at=None, open_since=now)
        if Undone.CANCELLED in done:
            deliveries.tell_withdrawn(tx, row, now)
            stories.settle_if_over(tx, row.id, now)


def _cancel(tx: sa.Connection, rows: Sequence[Delivery], now: datetime) -> Undone:
    if rows[0].state in ENDED_STEPS:
        return Undone.WITHDRAWN
    deliveries.cancel(tx, [row.id for row in rows], now)
    return Undone.CANCELLED


def _again(tx: sa.Connection, row: Delivery, now: datetime) -> Undone:
    if row.state in ENDED_STEPS:
        return Undone.WITHDRAWN
    hasten(tx, [row.id], now)
    return Undone.UNDER_WAY
