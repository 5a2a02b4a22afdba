"""Takes a story back from the destinations that have it, because a person wants it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from service.configuration import Configuration
from service.domain.people import Doer
from service.domain.states import (
    ENDED_STEPS,
    UNFINISHED_STORIES,
    Intent,
    StepKind,
    StepState,
    StoryState,
)
from service.domain.steps import Lane
from service.ledger import Ledger, approvals, deliveries, people, progress_steps, stories, withdrawals
from service.ledger.deliveries import Delivery
from service.ledger.replays import hasten
from service.ledger.stories import StoryRow


class NothingToWithdraw(Exception):
    """The story is nowhere and on its way to nowhere; the message says why."""


class Undone(StrEnum):
    """What a withdrawal did with one destination."""

    DUE = "due"  # it has the story, or a part of it, and is asked to let it go
    CANCELLED = "cancelled"  # its delivery had not reached it, or was not made yet, and never will
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
    Where the story has not gone yet but may, its withdrawal is made in the delivery's place.
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
            to_come = self._to_come(tx, row, held)
            routed = [name for name, route in to_come.items() if route]
            wanted = tuple(dict.fromkeys(destinations)) or (*held, *routed)
            if not any(name in held or name in to_come for name in wanted) and not held:
                raise NothingToWithdraw(
                    f"story {row.name} is {row.state} and went to no destination: there is nothing to withdraw"
                )
            actions = tuple(
                self._undo(tx, name, held[name], now)
                if name in held
                else _forbid(tx, row, name, to_come.get(name), now)
                for name in wanted
            )
            self._conclude(tx, row, actions, now)
            told = ", ".join(f"{each.destination} {each.done}" for each in actions)
            people.note_deed(tx, by, now, "withdraw", row.about, told)
            return Withdrawn(stories.lock(tx, key), actions)

    def _to_come(self, tx: sa.Connection, row: StoryRow, held: Iterable[str]) -> dict[str, str]:
        """Where the story may go though no delivery is made yet: destination → route, '' where none leads there."""
        if row.state not in UNFINISHED_STORIES:
            return {}
        if _has_video(tx, row):
            may_come = dict.fromkeys(self.configuration.stand_ins(held), "")
        else:  # which of its routes it takes shows when the video is here
            may_come = dict.fromkeys(self.configuration.destinations, "")
            may_come |= self.configuration.routed(row.route)
        return {name: route for name, route in may_come.items() if name not in held}

    def _undo(self, tx: sa.Connection, name: str, rows: Sequence[Delivery], now: datetime) -> Undoing:
        if all(row.stands_nowhere for row in rows):
            return Undoing(name, _cancel(tx, rows, now))
        if rows[0].is_withdrawn and rows[0].state != StepState.DEAD:
            return Undoing(name, _again(tx, rows[0], now))
        if name not in self.configuration.destinations:
            return Undoing(name, Undone.NOT_CONFIGURED)
        deliveries.turn(tx, rows[0].id, Intent.WITHDRAW, now)
        return Undoing(name, Undone.AFTER_THIS if rows[0].state == StepState.RUNNING else Undone.DUE)

    def _conclude(self, tx: sa.Connection, row: StoryRow, actions: Sequence[Undoing], now: datetime) -> None:
        deliveries.wake(tx, row.id, now)
        approvals.close_idle(tx, row.id, "it was withdrawn from where it was to go", now)
        done = {each.done for each in actions}
        if row.state == StoryState.SETTLED and Undone.DUE in done:
            stories.change(tx, row.id, now, state=StoryState.SETTLING, settled_at=None, open_since=now)
        if Undone.CANCELLED in done:
            deliveries.tell_withdrawn(tx, row, now)
            progress_steps.ask(tx, row.id, now)
            stories.settle_if_over(tx, row.id, now)


def _has_video(tx: sa.Connection, row: StoryRow) -> bool:
    """Whether the story's deliveries are made: with its video, while it settles."""
    return row.state == StoryState.SETTLING and stories.read_video(tx, row.id, row.revision) is not None


def _forbid(tx: sa.Connection, row: StoryRow, name: str, route: str | None, now: datetime) -> Undoing:
    if route is None:
        return Undoing(name, Undone.ABSENT)
    to_come = row.revision if row.state == StoryState.SETTLING else row.revision + 1
    withdrawals.forbid(tx, row.id, to_come, route, name, now)
    return Undoing(name, Undone.CANCELLED)


def _cancel(tx: sa.Connection, rows: Sequence[Delivery], now: datetime) -> Undone:
    if rows[0].is_withdrawn and rows[0].state == StepState.CANCELLED:
        return Undone.WITHDRAWN
    withdrawals.cancel(tx, [row.id for row in rows], now)
    return Undone.CANCELLED


def _again(tx: sa.Connection, row: Delivery, now: datetime) -> Undone:
    if row.state in ENDED_STEPS:
        return Undone.WITHDRAWN
    hasten(tx, [row.id], now)
    return Undone.UNDER_WAY
