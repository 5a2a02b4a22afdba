"""One attempt at a step: keeps its lease, and interrupts it when it may not go on."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import FrameType

import sqlalchemy as sa
import structlog

from service import tracing
from service.domain.steps import ClaimedStep, LeaseLost, Record, Released, StepFailed
from service.ledger import LedgerDown, steps, stories
from service.ledger.stories import StoryRow
from service.outbound_http import is_within_curl
from service.wiring import Relay

log = structlog.get_logger()

SENT_SECONDS = 1.0
"""Seconds between two notes in the ledger of how far an upload is."""

LEDGER_PATIENCE, LEDGER_PAUSE = 20.0, 0.5
"""Seconds for which a result waits for the ledger to come back, and between two tries."""

Interruption = LeaseLost | Released | StepFailed


def while_down(write: Callable[[], None]) -> None:
    """Writes what has happened already; where the ledger does not answer, again, for as long as the lease surely
    lasts. Safe to repeat after a commit whose answer was lost: such writes match the step's generation and state.

    Raises the ledger's errors in the end, and LeaseLost.
    """
    deadline = time.monotonic() + LEDGER_PATIENCE
    while True:
        try:
            write()
        except LedgerDown as error:
            if time.monotonic() > deadline:
                raise
            log.warning("ledger.down", error=type(error).__name__, again_in=LEDGER_PAUSE)
            time.sleep(LEDGER_PAUSE)
        else:
            return


class EarlyStop:
    """A work horse's answer to SIGTERM while no attempt is under way: the next one ends at its start.

    So claiming and recording are not cut short. The kernel may say it twice: once for each thread of a killed
    parent (prctl(2), PR_SET_PDEATHSIG).
    """

    def __init__(self, leave_within: float | None = None) -> None:
        self.told = False
        self._leave_within = leave_within

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Remembers it, and sees to it that this process ends: `leave_within` seconds from now, whatever it does.

        RQ's own book-keeping afterwards rides out an outage of the queue for minutes; the ledger needs none of it.
        """
        if self._leave_within is not None and not self.told:
            timer = threading.Timer(self._leave_within, os._exit, (1,))
            timer.daemon = True
            timer.start()
        self.told = True


class Attempt:
    """Holds the lease of a claimed step while its handler works.

    A second thread renews the lease. What has to stop the handler (lease lost, worker told to end, too long) is
    raised in the main thread, where signals arrive; transfers ask `stop_reason` instead, because an exception
    can't cross libcurl. What the handler has finished by then stays finished.
    """

    def __init__(self, relay: Relay, step: ClaimedStep) -> None:
        self.relay = relay
        self.step = step
        self._pending: Interruption | None = None
        self._interruptible = False
        self._unbroken = 0
        self._sent: tuple[int, int] | None = None
        self._told: tuple[int, int] | None = None
        self._over = threading.Event()
        self._early: EarlyStop | None = None

    def check(self) -> None:
        """Raises what has to stop this attempt, if anything, and if it may be stopped here."""
        if self._pending is not None and not self._unbroken:
            raise self._pending

    @contextmanager
    def unbroken(self) -> Iterator[None]:
        """Has what must stop this attempt wait for the end of the block, where it is raised.

        The block is bounded by its own timeouts, and on SIGTERM by `EarlyStop`: that ends the process within
        seconds, whatever it does, and who takes the step over can't know then how the block would have ended.
        """
        self._unbroken += 1
        try:
            yield
        finally:
            self._unbroken -= 1
        self.check()

    def story(self) -> StoryRow:
        """The step's story as the ledger has it now; from here on the log names it.

        Raises StepFailed when it is gone.
        """
        with self.relay.ledger.read() as tx:
            row = stories.read(tx, self.step.story_key)
        if row is None:
            raise StepFailed("its story is gone from the ledger", permanent=True)
        structlog.contextvars.bind_contextvars(story=row.name)
        tracing.note(**{"storyrelay.story": row.name})
        return row

    def stop_reason(self) -> str | None:
        """For transfers: why they have to stop, None while they may go on."""
        if self._pending is None or self._unbroken:
            return None
        return str(self._pending) or type(self._pending).__name__

    def sent(self, sent: int, total: int) -> None:
        """Notes how many bytes of how many were uploaded; the thread that keeps the lease writes it down."""
        self._sent = (sent, total)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Keeps the lease within the block, whose code may be interrupted anywhere."""
        keeper = threading.Thread(target=self._keep_lease, name="lease", daemon=True)
        before = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGUSR1)
        }
        early = before[signal.SIGTERM]
        self._early = early if isinstance(early, EarlyStop) else None
        if isinstance(early, EarlyStop) and early.told:
            self._pending = _told_to_stop()
        keeper.start()
        try:
            self._interruptible = True
            self.check()
            yield
        except Exception as error:
            self._interruptible = False
            if self._pending is not None and error is not self._pending:
                raise self._pending from error  # what the interruption broke on its way is not the reason
            raise
        finally:
            self._interruptible = False
            self._over.set()
            keeper.join()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM and self._early is not None:
            self._early(number, frame)
        if number == signal.SIGTERM and self._pending is None:
            self._pending = _told_to_stop()
        if is_within_curl():
            return  # curl asks for `stop_reason` itself; what is raised here would be printed and dropped
        if self._interruptible and self._pending is not None and not self._unbroken:
            self._interruptible = False  # raise once; a second signal must not cut the clean-up short
            raise self._pending

    def _interrupt(self, reason: Interruption) -> None:
        if self._pending is None:
            self._pending = reason
            os.kill(os.getpid(), signal.SIGUSR1)

    def _keep_lease(self) -> None:
        settings = self.relay.settings
        started = renewed = time.monotonic()
        while not self._is_over_within(settings.lease_renewal_seconds):
            # who has to finish something keeps the lease for it: another would do it a second time
            if time.monotonic() - started > settings.step_timeout_seconds and not self._unbroken:
                self._interrupt(StepFailed(f"it took longer than {settings.step_timeout_seconds:g} s"))
                return
            held = self._renew()
            if held:
                renewed = time.monotonic()
            if held is False or time.monotonic() - renewed > settings.lease_seconds:
                self._interrupt(LeaseLost("the lease was lost"))
                return

    def _is_over_within(self, seconds: float) -> bool:
        """Whether the attempt ends within this time, in which the progress of its uploads is written down."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._over.wait(min(left, SENT_SECONDS)):
                return True
            if self._sent is not None and self._sent != self._told:
                self._told = self._sent
                self._tell_sent(*self._sent)
        return False

    def _tell_sent(self, sent: int, total: int) -> None:
        try:
            with self.relay.ledger.write() as tx:
                steps.tell_attempt(tx, self.step, f"{_megabytes(sent)} of {_megabytes(total)} MB sent")
        except LedgerDown as error:
            log.warning("attempt.not_told", step=self.step.id, error=type(error).__name__)

    def _renew(self) -> bool | None:
        """True: renewed. False: another worker has the step. None: the ledger did not answer."""
        try:
            with self.relay.ledger.write() as tx:
                return steps.renew(tx, self.step, self.relay.now(), self.relay.settings.lease_seconds)
        except LedgerDown as error:
            log.warning("lease.not_renewed", step=self.step.id, error=type(error).__name__)
            return None


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f}".removesuffix(".0")


def _told_to_stop() -> Released:
    return Released("the worker was told to stop")


def settle(step: ClaimedStep) -> Record:
    """A record that settles the step's story, if this step was the last that it waited for."""

    def record(tx: sa.Connection, now: datetime) -> None:
        stories.settle_if_over(tx, step.story_key, now)

    return record
