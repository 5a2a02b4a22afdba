"""Replays many stories by today's routes: looked at first, then worked off a few at a time."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog

from service.bulk_dry_run import DryRun, Example
from service.configuration import Configuration
from service.domain.bulk_replays import Choice, Clock, Plan, plan, plan_without_video
from service.domain.people import Doer
from service.domain.routing import UnknownRoute, destinations_for
from service.domain.steps import Lane
from service.ledger import Ledger, LedgerDown, bulk_choosing, bulk_replays, people, reports, stories
from service.ledger.bulk_choosing import Met, Place
from service.ledger.bulk_replays import BulkReplay, BulkState
from service.ledger.stories import StoryRow
from service.observability import redact
from service.replaying import Action, NothingToReplay, Redone, Replaying
from service.route_choice import routing_facts
from service.settings import Settings

log = structlog.get_logger()

LOOKED_AT = 200
"""Stories whose way a dry run works out; the others are only counted."""

EXAMPLES = 20
MOST_AT_ONCE = 200
"""Stories that one pass sees to: the scheduler has other work."""

ROOM = 40
"""Steps that may be due or under way beside which a bulk replay adds its own: so few that a new story hardly waits."""

LONGEST_REASON = 500
SENT_TWICE = timedelta(minutes=10)
"""Within which the same choice is the same wish."""

_TOLD = {Redone.MADE: "for the first time", Redone.REPEATED: "again", Redone.HASTENED: "now instead of later"}


class Unfit(ValueError):
    """The choice can't be replayed; the message says why and what would be right."""


@dataclass(frozen=True)
class _Fate:
    """What became of one story: why it was left out, '' if it was not; what was done, and where something is due."""

    why_not: str = ""
    done: str = ""
    lanes: tuple[Lane, ...] = ()


@dataclass(frozen=True)
class BulkReplaying:
    """A story a transaction: the bulk replay is locked first, then the story, then its steps.

    The cursor moves in the transaction that replays the story, so that whoever dies, or works on it beside another,
    replays none twice and leaves none out.
    """

    ledger: Ledger
    settings: Settings
    configuration: Configuration
    now: Callable[[], datetime]

    def check(self, choice: Choice) -> None:
        """Raises Unfit for a destination that is not configured."""
        if choice.destination is not None and choice.destination not in self.configuration.destinations:
            known = ", ".join(sorted(self.configuration.destinations)) or "none"
            raise Unfit(f"there is no destination {choice.destination[:80]!r}; there are {known}")

    def dry_run(self, choice: Choice) -> DryRun:
        """Says what would be done, and does nothing. Raises Unfit."""
        self.check(choice)
        with self.ledger.read() as tx:
            total = bulk_choosing.count(tx, choice)
            examples = list(self._examples(tx, choice))
        plans = [example.plan for example in examples]
        return DryRun(
            choice=choice,
            total=total.count,
            exact=total.exact,
            looked_at=len(plans),
            replayed=sum(not each.why_not for each in plans),
            skipped=_counted([each.why_not for each in plans if each.why_not]),
            differ=sum(bool(each.gone or each.new) for each in plans),
            gone=_counted([name for each in plans for name in each.gone]),
            new=_counted([name for each in plans for name in each.new]),
            examples=tuple(examples[:EXAMPLES]),
        )

    def start(self, choice: Choice, by: Doer) -> BulkReplay:
        """Makes a bulk replay of what is chosen now; the scheduler works it off. Raises Unfit.

        Returns the one that was begun already where a form was sent twice, or all would be delivered twice.
        """
        self.check(choice)
        now = self.now()
        with self.ledger.read() as tx:  # counted beside the writers, whom it would keep waiting
            total = bulk_choosing.count(tx, choice)
        with self.ledger.write() as tx:
            bulk_replays.hold_off(tx)
            other = bulk_replays.begun(tx, choice, now - SENT_TWICE)
            if other is not None:
                return _same(other, choice)
            made = bulk_replays.add(tx, by.name, choice, total, now)
            detail = ", ".join(f"{name} {value}" for name, value in choice.as_json().items() if value)
            people.note_deed(tx, by, now, "bulk_replay_started", f"bulk replay {made.id}", detail)
        return made

    def cancel(self, key: int, by: Doer) -> bool:
        """Leaves the stories alone that were not yet seen to; False when it had ended, or never was."""
        now = self.now()
        with self.ledger.write() as tx:
            ended = bulk_replays.end(tx, key, BulkState.CANCELLED, now)
            if ended:
                people.note_deed(tx, by, now, "bulk_replay_cancelled", f"bulk replay {key}")
        return ended

    def advance(self) -> int:
        """Replays the next stories of what is under way, as far as the other work leaves room; returns how many were
        seen to.
        """
        with self.ledger.read() as tx:
            under_way = bulk_replays.running(tx)
            room = ROOM - bulk_replays.waiting(tx, self.now(), ROOM) if under_way else 0
        seen = 0
        for bulk in under_way:
            fates = [len(fate.lanes) for fate in self._advance(bulk, room)] if room > 0 else []
            seen += len(fates)
            room -= sum(fates)
        return seen

    def _advance(self, bulk: BulkReplay, room: int) -> list[_Fate]:
        with self.ledger.read() as tx:
            met = bulk_choosing.next_places(tx, bulk.choice, bulk.place, MOST_AT_ONCE)
        fates: list[_Fate] = []
        for place in met.places:
            if sum(len(fate.lanes) for fate in fates) >= room:
                return fates
            fates.append(self._see_to(bulk.id, place))
        self._go_on(bulk.id, met)
        return fates

    def _see_to(self, key: int, place: Place) -> _Fate:
        """Replays one story; one whose replay is a mistake of ours is left out, so that the others have their turn.

        Raises LedgerDown.
        """
        try:
            return self._replay_next(key, place)
        except LedgerDown:
            raise
        except Exception as bug:
            log.exception("bulk_replay.mistake", bulk=key, story_key=place[1])  # also goes to Sentry
            return self._leave_out(
                key,
                place,
                f"a mistake in Storyrelay: {type(bug).__name__}: {redact(str(bug))[:LONGEST_REASON]}",
            )

    def _replay_next(self, key: int, place: Place) -> _Fate:
        with self.ledger.write() as tx:
            held = self._hold(tx, key, place)
            if held is None:
                return _Fate()
            bulk, row = held
            fate = self._replay(tx, bulk.choice, row)
            bulk_replays.note(tx, bulk, place, fate.why_not, fate.done, self.now())
        return fate

    def _leave_out(self, key: int, place: Place, why: str) -> _Fate:
        """Notes it in a transaction of its own: the one in which it failed is undone."""
        with self.ledger.write() as tx:
            held = self._hold(tx, key, place)
            if held is None:
                return _Fate()
            bulk_replays.note(tx, held[0], place, why, "", self.now())
        return _Fate(why)

    @staticmethod
    def _hold(tx: sa.Connection, key: int, place: Place) -> tuple[BulkReplay, StoryRow] | None:
        """The bulk replay and its story, held; None where the story's turn is not, or not any more."""
        bulk = bulk_replays.hold(tx, key)
        if bulk is None or bulk.state != BulkState.RUNNING or bulk.has_passed(place):
            return None  # cancelled, or another scheduler was here
        row = stories.lock_if_there(tx, place[1])
        if row is None:
            return None  # deleted meanwhile
        at = row.created_at if bulk.choice.by == Clock.CREATED else row.finished_at
        if at != place[0]:
            return None  # it finished anew: a later look finds it there, if it is chosen still
        return None if bulk_replays.has_seen(tx, key, row.id) else (bulk, row)

    def _replay(self, tx: sa.Connection, choice: Choice, row: StoryRow) -> _Fate:
        if choice.wanted.story_state not in (None, row.state):
            return _Fate(f"it is {row.state} by now")
        if row.story_id is None:
            return _Fate("its id at the Story API is not known")
        found = self._plan(tx, choice, row)
        if found.why_not:
            return _Fate(found.why_not)
        replaying = Replaying(self.ledger, self.settings, self.configuration, self.now)
        try:
            replayed = replaying.replay_within(tx, row.id, found.targets)
        except NothingToReplay as error:
            return _Fate(str(error))
        if not replayed.lanes:
            return _Fate("it is under way already")
        return _Fate("", _told(replayed.actions), tuple(replayed.lanes))

    def _plan(self, tx: sa.Connection, choice: Choice, row: StoryRow) -> Plan:
        video = stories.read_video(tx, row.id, row.revision)
        if video is None:
            return plan_without_video(choice)
        # the hours of routes are those at which the story finished, not those at which its turn comes
        at = row.finished_at or self.now()
        facts = routing_facts(row, video.seconds)
        try:
            today = destinations_for(self.configuration.routes, facts, row.route, at)
        except UnknownRoute as error:
            return Plan(why_not=f"it is pinned, and {error}")
        return plan(choice, reports.steps_of(tx, row.id), tuple(today))

    def _examples(self, tx: sa.Connection, choice: Choice) -> Iterator[Example]:
        for _, key in bulk_choosing.next_places(tx, choice, None, LOOKED_AT).places:
            row = stories.read(tx, key)
            if row is not None:
                yield Example(row, self._plan(tx, choice, row))

    def _go_on(self, key: int, met: Met) -> None:
        """Passes by what was looked at and not chosen; ends it where nothing is left, read while it is held."""
        to = met.to or (met.places[-1] if met.places else None)
        with self.ledger.write() as tx:
            bulk = bulk_replays.hold(tx, key)
            if bulk is None or bulk.state != BulkState.RUNNING:
                return
            if to is not None:
                bulk_replays.pass_by(tx, bulk, to, self.now())
            if met.to is not None or self._is_left(tx, bulk, to):
                return
            if bulk_replays.end(tx, key, BulkState.DONE, self.now()):
                log.info("bulk_replay.done", bulk=key, replayed=bulk.replayed, skipped=bulk.skipped)

    @staticmethod
    def _is_left(tx: sa.Connection, bulk: BulkReplay, to: Place | None) -> bool:
        reached = max((place for place in (bulk.place, to) if place is not None), default=None)
        left = bulk_choosing.next_places(tx, bulk.choice, reached, 1)
        return bool(left.places) or left.to is not None


def _same(other: BulkReplay, choice: Choice) -> BulkReplay:
    if other.choice != choice:
        who = f"bulk replay {other.id} of {other.who}"
        raise Unfit(f"{who} is at some of these stories: wait for its end, or cancel it")
    return other


def _counted(names: Sequence[str]) -> dict[str, int]:
    """How often each is there, the most frequent first."""
    return dict(Counter(sorted(names)).most_common())


def _told(actions: Sequence[Action]) -> str:
    named = [(action.lane.destination or str(action.lane), _TOLD.get(action.done)) for action in actions]
    return ", ".join(f"{name} {how}" for name, how in named if how is not None)
