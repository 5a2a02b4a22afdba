"""What people may do with one story, from the dashboard, the JSON API and the command line alike."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
import structlog

from service.configuration import Configuration
from service.dispatching import Dispatcher
from service.domain.people import Doer
from service.domain.states import UNFINISHED_STORIES, Circuit, StepKind, StoryState
from service.domain.steps import Lane
from service.domain.stories import text
from service.ledger import Ledger, cancelling, fetch_steps, forgetting, lanes, people, receipts, stories
from service.ledger.cancelling import Stopped
from service.ledger.stories import StoryRow
from service.pruning import delete_files
from service.replaying import NothingToReplay, Redone, Replaying
from service.settings import Settings
from service.story_api import NotFound, StoryApi, StoryApiError, is_story_id
from service.submission import Submission
from service.video_store import ObjectStore, StoreError
from service.webhook_url import WebhookUrls
from service.withdrawing import NothingToWithdraw, Undone, Withdrawing

log = structlog.get_logger()

REDONE = {
    Redone.REPEATED: "is due again",
    Redone.MADE: "is due: the story was not there yet",
    Redone.HASTENED: "has its next try now",
    Redone.UNDER_WAY: "is left alone: it is queued or running just now",
    Redone.NOT_CONFIGURED: "is left out: the destination is no longer in storyrelay.toml",
    Redone.ALLOWED: "is withdrawn no more: with the video its routes decide",
}
UNDONE = {
    Undone.DUE: "is asked to let the story go",
    Undone.CANCELLED: "had not got the story yet, and will not",
    Undone.AFTER_THIS: "is getting the story just now, and is asked to let it go as soon as that has ended",
    Undone.UNDER_WAY: "is being asked already; the next try is now",
    Undone.WITHDRAWN: "has let it go already",
    Undone.ABSENT: "is left out: the story never went there",
    Undone.NOT_CONFIGURED: "is left out: it is no longer in storyrelay.toml",
}
_WORK = {
    StepKind.FETCH: "Asking the Story API",
    StepKind.DOWNLOAD: "Downloading the video",
}


class ActionRefused(Exception):
    """The action makes no sense as the story stands; the message says why, and what can be done instead."""


@dataclass(frozen=True)
class Acted:
    """What came of an action: whole sentences for people, and the story as it stands now (None: it is gone).

    `changed`: whether anything was done at all.
    """

    sentences: tuple[str, ...]
    changed: bool
    story: StoryRow | None


@dataclass(frozen=True)
class StoryActions:
    """One transaction an action, with its line in the audit log; then what is due is passed on.

    `by`: who does it. Every action takes the ledger's key and raises ActionRefused, and the ledger's errors.
    """

    ledger: Ledger
    settings: Settings
    configuration: Configuration
    dispatcher: Dispatcher
    story_api: Callable[[], StoryApi]
    store: Callable[[], ObjectStore]
    webhook_urls: WebhookUrls
    now: Callable[[], datetime]
    by: Doer

    def adopt(self, story_id: str, route: str | None = None) -> Acted:
        """Adopts a story that somebody else asked for, once the Story API says that it has it."""
        story_id = story_id.strip()
        if not is_story_id(story_id):
            raise ActionRefused(f"{text(story_id, 80)!r} can't be a story's id")
        if route is not None and route not in {each.name for each in self.configuration.routes}:
            raise ActionRefused(f"there is no route {route[:80]!r}")
        api = self.story_api()
        try:
            seen = api.get(story_id).id
        except NotFound as error:
            raise ActionRefused(f"nothing was adopted: the Story API has no story {story_id}") from error
        except StoryApiError as error:
            raise ActionRefused(
                f"nothing was adopted, for the Story API did not say whether it has the story: {error}"
            ) from error
        submission = Submission(self.ledger, self.settings, self.webhook_urls, api, self.now)
        row = submission.track(seen, route=route, by=self.by)
        return self._acted(row.id, (f"Story {row.name} is followed from now on.",), [Lane(StepKind.FETCH)])

    def fetch_now(self, key: int) -> Acted:
        """Asks the Story API at once how the story stands."""
        now = self.now()
        with self._transaction() as tx:
            row = stories.lock(tx, key)
            if row.state == StoryState.CANCELLED or row.story_id is None:
                raise ActionRefused(_not_fetched(row))
            fetch_steps.ask(tx, key, now, now)
            people.note_deed(tx, self.by, now, "fetch", row.about)
        told = "The Story API is asked at once how the story stands."
        return self._acted(key, (told,), [Lane(StepKind.FETCH)])

    def replay(self, key: int, destinations: Sequence[str] = ()) -> Acted:
        """Does the last thing of the story again, or delivers it to these destinations, also where it never went."""
        self._check(destinations)
        replaying = Replaying(self.ledger, self.settings, self.configuration, self.now)
        try:
            replayed = replaying.replay(key, destinations, by=self.by)
        except NothingToReplay as error:
            raise ActionRefused(str(error)) from error
        except sa.exc.NoResultFound as error:
            raise _gone() from error
        told = tuple(f"{_what(action.lane)} {REDONE[action.done]}." for action in replayed.actions)
        return self._acted(key, told, replayed.lanes, changed=not replayed.in_vain)

    def withdraw(self, key: int, destinations: Sequence[str] = ()) -> Acted:
        """Takes the story back from all destinations that have it, or from these."""
        withdrawing = Withdrawing(self.ledger, self.configuration, self.now)
        try:
            withdrawn = withdrawing.withdraw(key, destinations, by=self.by)
        except NothingToWithdraw as error:
            raise ActionRefused(str(error)) from error
        except sa.exc.NoResultFound as error:
            raise _gone() from error
        told = tuple(f"{each.destination} {UNDONE[each.done]}." for each in withdrawn.actions)
        return self._acted(key, told, withdrawn.lanes, changed=not withdrawn.in_vain)

    def cancel(self, key: int) -> Acted:
        """Stops a story that is still open: nothing of it is polled, downloaded or delivered from now on."""
        now = self.now()
        with self._transaction() as tx:
            row = stories.lock(tx, key)
            if row.state not in UNFINISHED_STORIES:
                raise ActionRefused(
                    f"story {row.name} is {row.state.replace('_', ' ')}: nothing of it is on its way, so that there "
                    "is nothing to cancel. What is published is taken back by a withdrawal"
                )
            stopped = cancelling.cancel(tx, row, self.by.name, now)
            people.note_deed(tx, self.by, now, "cancel", row.about, f"it was {row.state}")
        return self._acted(key, _cancelled(row, stopped), [])

    def forget(self, key: int) -> Acted:
        """Deletes the story here: its rows, and its files in the video store. What was published stays.

        Its receipts keep when they came and what they turned out to be, and lose body, id and link.
        """
        now = self.now()
        with self._transaction() as tx:
            row = stories.lock(tx, key)
            if not forgetting.is_over(tx, key):
                raise ActionRefused(
                    f"story {row.name} is {row.state.replace('_', ' ')}, and something of it is still to be done: "
                    "cancel it, or wait until all of it has ended"
                )
            receipts.forget_story(tx, key)
            gone = forgetting.forget_story(tx, key, now)
            people.note_deed(tx, self.by, now, "forget", row.about)
        told = f"Story {row.name} is forgotten here. What was published of it stays where it is."
        return Acted((told, self._without(gone.prefixes)), True, None)

    def _without(self, prefixes: Sequence[str]) -> str:
        """Deletes this story's files alone: a request has no time for what others left to the scheduler."""
        try:
            delete_files(self.ledger, self.store(), self.now, prefixes)
        except StoreError as error:  # they are listed as discarded, and the scheduler goes on there
            log.warning("store.not_cleared", error=str(error))
            return f"Its files could not be deleted yet ({error}); the scheduler tries that again."
        return "Its files are deleted."

    def delete_at_api(self, key: int, typed: str) -> Acted:
        """Deletes the story at the Story API, for good; `typed` is its id, as a person wrote it to be sure.

        What the ledger and the destinations have stays.
        """
        row = self._deletable(key, typed)
        story_id = row.story_id or ""
        self._note("delete_at_api", row, "asked for")  # first: a call that got through must not go unsaid
        try:
            self.story_api().delete(story_id)
        except NotFound:
            told = f"The Story API does not have story {story_id}: there was nothing to delete."
        except StoryApiError as error:
            self._note("delete_at_api", row, f"failed: {error}")
            doubt = " It may be deleted all the same: “Fetch now” tells." if error.sent else ""
            raise ActionRefused(
                f"the Story API did not delete it: {error}.{doubt}".replace("..", ".")
            ) from error
        else:
            told = (
                f"Story {story_id} is deleted at the Story API. What was published, and what is here, stays."
            )
        self._note("delete_at_api", row, told)
        log.info("story.deleted_at_api", story=story_id, by=self.by.name)
        return self._acted(key, (told,), [])

    def _deletable(self, key: int, typed: str) -> StoryRow:
        with self._transaction(reads=True) as tx:
            row = stories.read(tx, key)
        if row is None:
            raise _gone()
        if row.story_id is None:
            raise ActionRefused(
                "the Story API's id of this story is not known, so that it can't be deleted there"
            )
        if row.state in UNFINISHED_STORIES:
            raise ActionRefused(f"story {row.name} is still {row.state}: cancel it first")
        if typed.strip() != row.story_id:
            raise ActionRefused("what was typed is not the story's id, so nothing was deleted")
        return row

    def _note(self, action: str, row: StoryRow, detail: str) -> None:
        with self.ledger.write() as tx:
            people.note_deed(tx, self.by, self.now(), action, row.about, detail)

    def _check(self, destinations: Sequence[str]) -> None:
        for name in destinations:
            if name not in self.configuration.destinations:
                known = ", ".join(self.configuration.destinations) or "none"
                raise ActionRefused(f"there is no destination {name[:80]!r}; there are {known}")

    @contextmanager
    def _transaction(self, *, reads: bool = False) -> Iterator[sa.Connection]:
        try:
            with self.ledger.read() if reads else self.ledger.write() as tx:
                yield tx
        except sa.exc.NoResultFound as error:
            raise _gone() from error

    def _acted(self, key: int, told: tuple[str, ...], due: Sequence[Lane], *, changed: bool = True) -> Acted:
        if due:
            self.dispatcher.dispatch(list(due))
        with self.ledger.read() as tx:
            row = stories.read(tx, key)
            closed = [
                state
                for state in lanes.all_lanes(tx)
                if state.lane in due and state.circuit != Circuit.CLOSED
            ]
        waits = tuple(
            f"{_what(state.lane)} {'is switched off' if state.circuit == Circuit.OFF else 'is paused'} "
            f"({state.message or state.reason}), so it waits."
            for state in closed
        )
        return Acted(told + waits, changed, row)


def _gone() -> ActionRefused:
    return ActionRefused("this story is not in the ledger any more")


def _what(lane: Lane) -> str:
    return _WORK.get(lane.kind) or f"The delivery to {lane.destination}"


def _not_fetched(row: StoryRow) -> str:
    if row.state == StoryState.CANCELLED:
        return f"story {row.name} was cancelled, so that nothing is asked any more: submit it again"
    return (
        f"the Story API's id of {row.name} is not known ({row.state}), so that it can't be asked for. Look in the "
        "provider's console: if it is there, adopt it by its id"
    )


def _cancelled(row: StoryRow, stopped: Stopped) -> tuple[str, ...]:
    told = ["The story is cancelled: it is polled, downloaded and delivered no more."]
    if row.state != StoryState.SETTLING:
        told.append("The Story API may go on making it, and charges what it charges.")
    if stopped.spared:
        told.append(f"It will not go to {', '.join(stopped.spared)}.")
    if stopped.published:
        told.append(
            f"It went out already to {', '.join(stopped.published)}, and stays there until it is withdrawn."
        )
    if stopped.under_way:
        told.append(
            f"It is being sent to {', '.join(stopped.under_way)} at this moment, and may still arrive there."
        )
    return tuple(told)
