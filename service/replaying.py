"""Does again what ended, or ended badly, because a person wants it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa

from service.configuration import Configuration
from service.domain.people import Doer
from service.domain.states import ENDED_STEPS, Intent, StepKind, StepState, StoryState
from service.domain.steps import Lane
from service.ledger import (
    Ledger,
    approvals,
    deliveries,
    fetch_steps,
    people,
    reports,
    revisions,
    steps,
    stories,
    withdrawals,
)
from service.ledger.replays import hasten
from service.ledger.reports import StepRow
from service.ledger.stories import StoryRow
from service.settings import Settings

_ENDED_WITHOUT_VIDEO = (
    StoryState.FAILED,
    StoryState.UNKNOWN,
    StoryState.GIVEN_UP,
    StoryState.UNCONFIRMED,
)


class NothingToReplay(Exception):
    """The story is where nothing can be done again; the message says why and what can be done instead."""


class Redone(StrEnum):
    """What a replay did with one piece of work."""

    REPEATED = "repeated"  # it had ended and is due again
    MADE = "made"  # the destination had not had it: a new step
    HASTENED = "hastened"  # it waited for its next try, which is now
    UNDER_WAY = "under way"  # it is queued or running just now
    NOT_CONFIGURED = "not configured"  # its destination is gone from the configuration
    ALLOWED = "allowed"  # it was withdrawn before it was published: with its video its routes decide


@dataclass(frozen=True)
class Action:
    """One piece of work and what was done with it."""

    lane: Lane
    done: Redone


@dataclass(frozen=True)
class Replayed:
    """What came of a replay: the story as it stands now, and every piece of work that was touched."""

    story: StoryRow
    actions: tuple[Action, ...]

    @property
    def in_vain(self) -> bool:
        """Whether nothing of what was asked for is done, or will be."""
        return not self.lanes and all(action.done != Redone.ALLOWED for action in self.actions)

    @property
    def lanes(self) -> list[Lane]:
        """Where something may be due now."""
        idle = (Redone.UNDER_WAY, Redone.NOT_CONFIGURED, Redone.ALLOWED)
        return [action.lane for action in self.actions if action.done not in idle]


@dataclass(frozen=True)
class Replaying:
    """One transaction a replay, which locks the story first and its steps second, as handlers do."""

    ledger: Ledger
    settings: Settings
    configuration: Configuration
    now: Callable[[], datetime]

    def replay(self, key: int, destinations: Sequence[str] = (), *, by: Doer | None = None) -> Replayed:
        """Does the last thing of the story again: its deliveries (to all, or to these destinations), its download,
        or its fetch, whichever it came to. `by`: who wants it, for the audit log. Raises NothingToReplay.
        """
        with self.ledger.write() as tx:
            return self.replay_within(tx, key, destinations, by=by)

    def replay_within(
        self, tx: sa.Connection, key: int, destinations: Sequence[str] = (), *, by: Doer | None = None
    ) -> Replayed:
        """As `replay`, as part of the caller's transaction, whose first lock of a story this is."""
        now = self.now()
        row = stories.lock(tx, key)
        known = reports.steps_of(tx, key)
        actions = self._replay(tx, row, known, tuple(dict.fromkeys(destinations)), now)
        told = ", ".join(f"{action.lane} {action.done}" for action in actions)
        people.note_deed(tx, by, now, "replay", row.about, told)
        return Replayed(stories.lock(tx, key), tuple(actions))

    def _replay(
        self,
        tx: sa.Connection,
        row: StoryRow,
        known: Sequence[StepRow],
        destinations: Sequence[str],
        now: datetime,
    ) -> list[Action]:
        _check(row)
        video = stories.read_video(tx, row.id, row.revision)
        to_come = row.revision if video is None else row.revision + 1
        allowed = withdrawals.allow(tx, row.id, to_come, destinations)
        if video is not None and video.removed_at is None:
            here = [step for step in known if step.revision <= row.revision]
            if allowed and not any(step.kind == StepKind.DELIVER for step in here) and not destinations:
                return _allow(tx, row, allowed, now)
            return self._deliver(tx, row, here, destinations, now)
        actions = _allow(tx, row, allowed, now)
        if destinations and set(destinations) == set(allowed):
            return actions
        if destinations:
            missing = "has no video yet" if video is None else "has no video any more (it was pruned)"
            raise NothingToReplay(
                f"story {row.name} {missing}, so nothing can be delivered: it is {row.state}. "
                f"Without --destination, `storyrelay replay {row.name}` sees to the video"
            )
        download = [
            step for step in known if step.kind == StepKind.DOWNLOAD and step.revision == row.revision
        ]
        if download:
            return [*actions, _download(tx, row, download[0], now)]
        return [*actions, self._fetch(tx, row, now)]

    def _deliver(
        self,
        tx: sa.Connection,
        row: StoryRow,
        known: Sequence[StepRow],
        destinations: Sequence[str],
        now: datetime,
    ) -> list[Action]:
        latest = {step.destination: step for step in known if step.kind == StepKind.DELIVER}
        wanted = destinations or _of_newest_revision(latest)
        if not wanted:
            raise NothingToReplay(
                f"no destination had story {row.name}: no route led anywhere when it finished. "
                "Name one with --destination"
            )
        actions = [self._deliver_to(tx, row, name, latest.get(name), now) for name in wanted]
        if any(action.done in (Redone.REPEATED, Redone.MADE) for action in actions):
            _reopen(tx, row, now, StoryState.SETTLING, settled_at=None)
            deliveries.tell_withdrawn(tx, stories.lock(tx, row.id), now)
        return actions

    def _deliver_to(
        self, tx: sa.Connection, row: StoryRow, name: str, last: StepRow | None, now: datetime
    ) -> Action:
        lane = Lane(StepKind.DELIVER, name)
        if name not in self.configuration.destinations:
            return Action(lane, Redone.NOT_CONFIGURED)
        if last is not None and last.revision == row.revision:
            done = _again(tx, last, now)
            approvals.ask_again(tx, last.id, self.configuration.approval, now)
            return Action(lane, done)
        route = last.route if last is not None else row.route or ""
        steps.add(tx, [steps.NewStep(lane, row.id, row.revision, route)], now)
        if last is not None:
            approvals.ask_for_later(tx, last.id, row.revision, self.configuration.approval, now)
        revisions.supersede(tx, row.id, StepKind.DELIVER, [name], row.revision, now)
        return Action(lane, Redone.MADE)

    def _fetch(self, tx: sa.Connection, row: StoryRow, now: datetime) -> Action:
        if row.state in _ENDED_WITHOUT_VIDEO:
            # counted anew, or the next pass would give the old story up before it was asked for
            _reopen(
                tx,
                row,
                now,
                StoryState.OPEN,
                polls=0,
                not_found=0,
                not_found_since=None,
                finished_at=None,
                next_poll_at=now + timedelta(seconds=self.settings.poll_max_seconds),
            )
        fetch_steps.ask(tx, row.id, now, now)
        return Action(Lane(StepKind.FETCH), Redone.REPEATED)


def _check(row: StoryRow) -> None:
    if row.state == StoryState.CANCELLED:
        raise NothingToReplay(
            f"story {row.name} was cancelled ({row.message or 'no reason is recorded'}): submit it again"
        )
    if row.story_id is None:
        raise NothingToReplay(
            f"the Story API's id of {row.name} is not known ({row.state}), so it can't be asked for. Look in the "
            "provider's console: if it is there, `storyrelay track ID` adopts it; else submit it again"
        )


def _allow(tx: sa.Connection, row: StoryRow, names: Sequence[str], now: datetime) -> list[Action]:
    """What came of withdrawals that a person takes back before there is a video."""
    if names:
        deliveries.tell_withdrawn(tx, row, now)
    return [Action(Lane(StepKind.DELIVER, name), Redone.ALLOWED) for name in names]


def _download(tx: sa.Connection, row: StoryRow, step: StepRow, now: datetime) -> Action:
    done = _again(tx, step, now)
    if done == Redone.REPEATED:
        _reopen(tx, row, now, StoryState.SETTLING)
    return Action(Lane(StepKind.DOWNLOAD), done)


def _again(tx: sa.Connection, step: StepRow, now: datetime) -> Redone:
    if step.state in ENDED_STEPS and steps.repeat(tx, [step.id], now):
        return Redone.REPEATED
    if step.intent == Intent.WITHDRAW:
        deliveries.turn(tx, step.id, Intent.PUBLISH, now)
        return Redone.REPEATED
    if step.state == StepState.PENDING and hasten(tx, [step.id], now):
        return Redone.HASTENED
    return Redone.UNDER_WAY


def _reopen(tx: sa.Connection, row: StoryRow, now: datetime, state: StoryState, **values: object) -> None:
    stories.change(tx, row.id, now, state=state, message=None, open_since=now, **values)


def _of_newest_revision(latest: Mapping[str, StepRow]) -> list[str]:
    """The destinations of the newest revision that had any: one whose video was the same has none of its own."""
    newest = max((step.revision for step in latest.values()), default=0)
    return [name for name, step in latest.items() if step.revision == newest and not _only_stands_in(step)]


def _only_stands_in(step: StepRow) -> bool:
    """Whether no route led there: it would have stood in for another, and was withdrawn before that."""
    return step.state == StepState.CANCELLED and step.generation == 0 and step.route == ""
