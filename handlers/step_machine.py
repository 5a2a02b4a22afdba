"""Runs one step: claim, work, and one transaction that says how it ended and what follows."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
import structlog

from handlers.attempt import Attempt, while_down
from service import tracing
from service.domain.notices import NoticeKind, Trouble
from service.domain.schedules import circuit_should_open, retry_delay
from service.domain.states import Circuit, Outcome, StepKind, StepState
from service.domain.steps import ClaimedStep, Done, Lane, Later, LeaseLost, Opens, Released, StepFailed
from service.ledger import LedgerDown, lanes, steps, stories, troubles
from service.ledger.lanes import LaneState
from service.observability import redact
from service.wiring import Relay

log = structlog.get_logger()

LONGEST_DETAIL = 2000
_UNTOLD = (StepKind.NOTIFY, StepKind.PROGRESS)
"""Trouble with telling can't be told that way: the log, the dashboard and doctor say it."""


@dataclass(frozen=True)
class Handler:
    """The code for one kind of step.

    `work` does it. `dead` records what follows when it is given up, within the transaction that says so.
    """

    work: Callable[[Relay, ClaimedStep, Attempt], Done | Later]
    dead: Callable[[Relay, sa.Connection, ClaimedStep, str, datetime], None]


@dataclass(frozen=True)
class StepMachine:
    """Takes steps through the states of the design; every transition matches the claimed generation."""

    relay: Relay
    handlers: Mapping[StepKind, Handler]

    def run(self, step_id: int) -> None:
        """Runs the step if nobody else does. Raises only what the ledger raises when it can't be reached."""
        with self.relay.ledger.write() as tx:
            step = steps.claim(tx, step_id, self.relay.now(), self.relay.settings.lease_seconds)
        if step is None:
            log.debug("step.stale_job", step=step_id)
            return
        try:
            with _followed(step):
                self._work(step)
        except LeaseLost:
            log.warning("step.lease_lost", step=step.id, lane=str(step.lane), generation=step.generation)
        finally:
            structlog.contextvars.unbind_contextvars("story")  # which the attempt has bound
            self.relay.meter.save(self.relay.ledger)
        self.relay.dispatcher.dispatch()

    def _work(self, step: ClaimedStep) -> None:
        try:
            answer = self._attempt(step)
        except Released as released:
            self._release(step, str(released))
        except StepFailed as failure:
            self._fail(step, failure)
        except LeaseLost:
            raise
        except LedgerDown as error:
            # neither the place's fault nor the step's; if giving it back fails as well, its lease lapses
            log.warning("ledger.down", step=step.id, error=type(error).__name__)
            self._release(step, "the ledger did not answer")
        except Exception as bug:
            log.exception("step.mistake", **_facts(step))  # errors of the log go to Sentry
            self._fail(step, StepFailed(f"a mistake in Storyrelay: {type(bug).__name__}: {redact(str(bug))}"))
        else:
            self._record_surely(step, answer)

    def _attempt(self, step: ClaimedStep) -> Done | Later:
        if step.attempts > len(self.relay.settings.retry_schedule) + 1:
            raise StepFailed(
                "its worker died at every attempt: the step itself may be what kills it", permanent=True
            )
        attempt = Attempt(self.relay, step)
        with attempt.working():
            return self.handlers[step.lane.kind].work(self.relay, step, attempt)

    def _record_surely(self, step: ClaimedStep, answer: Done | Later) -> None:
        """What has its effect at a place already is recorded though the ledger is away for a while."""
        while_down(partial(self._record, step, answer))

    def _record(self, step: ClaimedStep, answer: Done | Later) -> None:
        now = self.relay.now()
        with self.relay.ledger.write() as tx:
            if step.story is not None:
                stories.lock(tx, step.story)
            if isinstance(answer, Done):
                steps.end(tx, step, now, answer.state, _result(answer))
                steps.end_attempt(tx, step, now, Outcome.DONE, _detail(answer.detail))
            else:
                next_at = now + timedelta(seconds=answer.seconds)
                steps.postpone(tx, step, now, next_at, spends=False, waits=True, error=None)
                steps.end_attempt(tx, step, now, Outcome.WAITED, _detail(answer.detail))
            if answer.record is not None:
                answer.record(tx, now)
        log.info(
            "step.done" if isinstance(answer, Done) else "step.waits", **_facts(step), detail=answer.detail
        )
        if answer.reached:
            self._recover(step.lane)

    def _release(self, step: ClaimedStep, why: str) -> None:
        now = self.relay.now()
        with self.relay.ledger.write() as tx:
            steps.postpone(tx, step, now, now, spends=False, error=None)
            steps.end_attempt(tx, step, now, Outcome.RELEASED, why)
        log.info("step.released", **_facts(step))

    def _fail(self, step: ClaimedStep, failure: StepFailed) -> None:
        now = self.relay.now()
        message = _detail(str(failure))
        if failure.opens is not None:
            failure.opens = replace(failure.opens, message=_detail(failure.opens.message))
        open_before = self._opened(step, failure, now)
        spends = failure.spends and not (open_before and not failure.permanent)
        delay = self._delay(step, failure, spends=spends)
        if failure.permanent or delay is None:
            self._bury(step, message, now)
        else:
            with self.relay.ledger.write() as tx:
                if step.story is not None:  # or a later revision might be made unseen
                    stories.lock_if_there(tx, step.story)
                steps.postpone(tx, step, now, now + timedelta(seconds=delay), spends=spends, error=message)
                steps.end_attempt(tx, step, now, Outcome.RETRY, message)
            log.warning("step.failed", **_facts(step), error=message, again_in=round(delay, 1))
        self._judge_lane(step.lane, now)

    def _delay(self, step: ClaimedStep, failure: StepFailed, *, spends: bool) -> float | None:
        settings = self.relay.settings
        if not spends:
            # the lane's circuit decides when; without one, the shortest pause of the schedule
            return 0.0 if failure.opens else settings.retry_schedule[0]
        return retry_delay(
            settings.retry_schedule,
            step.attempts,
            jitter=settings.retry_jitter,
            asked=failure.retry_after,
            longest_ask=settings.retry_after_max,
        )

    def _bury(self, step: ClaimedStep, message: str, now: datetime) -> None:
        with self.relay.ledger.write() as tx:
            if step.story is not None:
                stories.lock(tx, step.story)
            over = steps.end(tx, step, now, StepState.DEAD, {"last_error": message})
            steps.end_attempt(tx, step, now, Outcome.DEAD if over else Outcome.RETRY, message)
            if over:
                self.handlers[step.lane.kind].dead(self.relay, tx, step, message, now)
        if not over:  # a person wants the contrary by now, so that nobody is to be told
            log.warning("step.turned", **_facts(step), error=message)
            return
        log.error("step.dead", **_facts(step), error=message)  # once, and so to Sentry

    def _opened(self, step: ClaimedStep, failure: StepFailed, now: datetime) -> bool:
        """Applies what the failure means for the whole lane; says whether its circuit was open before."""
        settings = self.relay.settings
        with self.relay.ledger.write() as tx:
            state = lanes.lock(tx, step.lane)
            # videos lie on any host, and none of them may hold up the others
            if failure.retry_after is not None and step.lane.kind != StepKind.DOWNLOAD:
                wait = min(failure.retry_after, settings.retry_after_max)
                lanes.hold_until(tx, step.lane, now + timedelta(seconds=wait))
            if state.circuit == Circuit.OPEN:
                lanes.probe_failed(tx, state, now, settings.circuit_max_probe_seconds)
            if failure.opens is not None and self._is_of_account(step.lane, failure.opens):
                self.relay.story_account.refused(tx, failure.opens.reason, failure.opens.message, now)
            if state.circuit == Circuit.CLOSED and failure.opens is not None:
                self._open(tx, step.lane, failure.opens, settings.pause_probe_seconds, now)
        return state.circuit == Circuit.OPEN

    def _judge_lane(self, lane: Lane, now: datetime) -> None:
        settings = self.relay.settings
        if (
            lane.kind == StepKind.DOWNLOAD
        ):  # videos lie on many hosts: one that fails says nothing of the next
            return
        with self.relay.ledger.write() as tx:
            since = now - timedelta(seconds=settings.circuit_window_seconds)
            state = lanes.lock(tx, lane)
            if state.opened_at is None and state.closed_at is not None:
                since = max(since, state.closed_at)
            tries, failures = steps.recent_tries(tx, lane, since)
            if circuit_should_open(
                tries, failures, least_tries=settings.circuit_tries, share=settings.circuit_share
            ):
                message = f"{failures} of the last {tries} attempts failed"
                opens = Opens(lanes.FAILING, message)
                self._open(tx, lane, opens, settings.circuit_first_probe_seconds, now)

    def _open(self, tx: sa.Connection, lane: Lane, opens: Opens, first_delay: float, now: datetime) -> None:
        fingerprint = self.relay.fingerprint(lane)
        if not lanes.open_circuit(tx, lane, opens, now, first_delay=first_delay, fingerprint=fingerprint):
            return
        log.error("lane.paused", lane=str(lane), reason=opens.reason, message=opens.message)
        if self._is_of_account(lane, opens):
            return  # told as what it is, not as a pause as well
        trouble = Trouble(
            key="",
            kind=NoticeKind.LANE_PAUSED,
            title=f"Paused: {lane.words}",
            text=f"{opens.message}\nIt is tried again by itself; `storyrelay doctor` says what is wrong.",
            about=lane.destination or None,
        )
        told = None if lane.kind in _UNTOLD else self.relay.configuration.notices
        troubles.begin(tx, trouble, told, now, str(lane))

    def _recover(self, lane: Lane) -> None:
        now = self.relay.now()
        with self.relay.ledger.write() as tx:
            if lane.kind == StepKind.FETCH:
                self._account_is_well(tx, lanes.read(tx, lane), now)
            if lanes.close_circuit(tx, lane, now):
                log.info("lane.recovered", lane=str(lane))

    @staticmethod
    def _is_of_account(lane: Lane, opens: Opens) -> bool:
        return lane.kind == StepKind.FETCH and opens.reason in (lanes.REFUSED, lanes.NO_CREDIT)

    def _account_is_well(self, tx: sa.Connection, state: LaneState, now: datetime) -> None:
        account = self.relay.story_account
        if state.reason == lanes.NO_CREDIT:  # so looking at stories needed credits, and has them
            account.paid(tx, now)
        else:
            account.answered(tx, now)


@contextmanager
def _followed(step: ClaimedStep) -> Iterator[None]:
    """Names in the log, and in its trace, the request that the step follows from."""
    about: dict[str, str | int] = {
        "storyrelay.step": step.id,
        "storyrelay.destination": step.lane.destination,
        "storyrelay.try": step.attempts,
    }
    with tracing.following(step.trace, str(step.lane.kind), tracing.SpanKind.CONSUMER, about) as request_id:
        named = {"request_id": request_id} if request_id else {}
        with structlog.contextvars.bound_contextvars(**named):
            yield


def _result(answer: Done) -> dict[str, Any]:
    values: dict[str, Any] = {"last_error": None, "url": answer.url, "remark": answer.remark}
    if answer.reference is not None:
        values["reference"] = dict(answer.reference)
    return values


def _detail(text: str) -> str:
    return redact(text)[:LONGEST_DETAIL]


def _facts(step: ClaimedStep) -> dict[str, Any]:
    return {"step": step.id, "lane": str(step.lane), "story_key": step.story, "try": step.attempts}
