"""The scheduler's loop: sweeps, reconciles, watches the lanes, and says that it is alive."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sentry_sdk
import structlog

from service import digesting, late_notices, scheduler_heartbeat
from service.bulk_replaying import BulkReplaying
from service.lane_watching import LaneWatch
from service.ledger import LedgerDown, metrics, reports
from service.outbound_http import OutboundError, Request
from service.question_minding import QuestionMinding
from service.reconciliation import Reconciliation
from service.trouble_watching import TroubleWatch
from service.video_store import StoreError
from service.wiring import Relay

log = structlog.get_logger()

CLEAR_PAUSE = timedelta(hours=1)
PRUNE_SECONDS = 0.5
"""Of one pass, for pruning: sweeps, polls and heartbeats wait meanwhile."""

STORE_REFUSED = "store-refused"
STORE_PAUSE = timedelta(minutes=5)
"""How long a store that failed to delete files is left alone."""

PING_PAUSE = timedelta(minutes=1)
PING_TIMEOUT = 5.0
FOLDS_A_PASS = 20


@dataclass(frozen=True)
class Scheduler:
    """Any number may run: all that they do is conditional on the ledger's state."""

    relay: Relay

    def run(self, stopped: threading.Event) -> None:
        """Runs passes until the event is set. A ledger that is down is waited for."""
        log.info("scheduler.started", every=self.relay.settings.sweep_seconds)
        while not stopped.is_set():
            try:
                self.once()
            except LedgerDown as error:
                log.warning("ledger.down", error=type(error).__name__)
                sentry_sdk.capture_exception(error)
            stopped.wait(self.relay.settings.sweep_seconds)
        log.info("scheduler.stopped")

    def once(self) -> None:
        """One pass of everything; what fails in one part keeps no other from its turn. Raises LedgerDown."""
        now = self.relay.now()
        parts: tuple[Callable[[datetime], None], ...] = (
            self._beat,
            self._watch_lanes,
            self._reconcile,
            self._sweep,
            self._count,
            self._watch_webhooks,
            self._clear_store,
            self._prune,
            self._replay_many,
            self._mind_questions,
            self._watch_trouble,
            self._pass_on_notices,
            self._send_digest,
        )
        failed = [part for part in parts if not _goes_well(part, now)]
        if not failed:
            _goes_well(self._ping, now)

    def _beat(self, now: datetime) -> None:
        scheduler_heartbeat.beat(self.relay, now)

    def _reconcile(self, _now: datetime) -> None:
        relay = self.relay
        found = Reconciliation(relay.ledger, relay.settings, relay.configuration, relay.now).run()
        if found.polled or found.given_up:
            log.info("reconciled", polled=len(found.polled), given_up=len(found.given_up))

    def _sweep(self, _now: datetime) -> None:
        moved = self.relay.dispatcher.sweep()
        if moved:
            log.debug("swept", steps=moved)

    def _watch_trouble(self, _now: datetime) -> None:
        TroubleWatch(self.relay).look()

    def _pass_on_notices(self, _now: datetime) -> None:
        late_notices.pass_on_late(self.relay)

    def _send_digest(self, _now: datetime) -> None:
        digesting.send_due(self.relay)

    def _ping(self, now: datetime) -> None:
        """Tells a watcher outside, once a minute, that a pass went well; its address holds a secret."""
        address = self.relay.settings.ping_url.get_secret_value()
        if not address:
            return
        with self.relay.ledger.write() as tx:
            last = reports.last_beat(tx, "ping")
            if last is not None and now - last < PING_PAUSE:
                return
            reports.beat(tx, "ping", now)
        try:
            with self.relay.own_http() as http:
                status = http.send(Request("GET", address, timeout=PING_TIMEOUT)).status
        except OutboundError as error:
            log.warning("ping.failed", error=type(error).__name__)  # its text may name the address
            return
        if status >= 300:
            log.warning("ping.refused", status=status)

    def _mind_questions(self, _now: datetime) -> None:
        """Reminds people of questions, and ends those that nobody answered in time."""
        minding = QuestionMinding(self.relay.ledger, self.relay.configuration, self.relay.now)
        if minding.run():
            self.relay.dispatcher.dispatch()

    def _replay_many(self, _now: datetime) -> None:
        relay = self.relay
        seen = BulkReplaying(relay.ledger, relay.settings, relay.configuration, relay.now).advance()
        if seen:
            log.info("bulk_replay.advanced", stories=seen)
            relay.dispatcher.dispatch()

    def _count(self, _now: datetime) -> None:
        """Adds to the metrics' totals what happened since; a long backlog takes several passes."""
        for _ in range(FOLDS_A_PASS):
            with self.relay.ledger.read() as tx:
                waits = metrics.unfolded(tx)
            if not waits:
                return
            with self.relay.ledger.write() as tx:
                metrics.fold(tx)

    def _clear_store(self, now: datetime) -> None:
        """Removes what killed workers left in the video store's folder for temporary files, once an hour."""
        with self.relay.ledger.write() as tx:
            last = reports.last_beat(tx, "clear-store")
            if last is not None and now - last < CLEAR_PAUSE:
                return
            reports.beat(tx, "clear-store", now)
        try:
            removed = self.relay.video_store().clear_incoming(self.relay.settings.step_timeout_seconds + 3600)
        except StoreError as error:
            log.warning("store.not_cleared", error=str(error))
            return
        if removed:
            log.info("store.cleared", files=removed)

    def _prune(self, now: datetime) -> None:
        """Deletes daily what is older than the settings keep it, a little in each pass: other work waits for it."""
        until = time.monotonic() + PRUNE_SECONDS
        pruning = self.relay.pruning
        found = pruning.advance(lambda: time.monotonic() > until)
        if any(found.values()):
            log.info("pruned", **found)
        with self.relay.ledger.read() as tx:
            refused = reports.last_beat(tx, STORE_REFUSED)
        if refused is not None and now - refused < STORE_PAUSE:
            return
        try:
            pruning.clear_files(lambda: time.monotonic() > until)
        except StoreError as error:
            log.warning("store.not_pruned", error=str(error))
            with self.relay.ledger.write() as tx:
                reports.beat(tx, STORE_REFUSED, now)

    def _watch_lanes(self, _now: datetime) -> None:
        LaneWatch(self.relay).look()

    def _watch_webhooks(self, _now: datetime) -> None:
        TroubleWatch(self.relay).webhooks()


def _goes_well(part: Callable[[datetime], None], now: datetime) -> bool:
    """Does one part of a pass; False after a mistake in it, which is told.

    Raises LedgerDown, without which the other parts can do nothing either.
    """
    try:
        part(now)
    except LedgerDown:
        raise
    except Exception:
        log.exception(
            "scheduler.mistake", part=getattr(part, "__name__", "").strip("_")
        )  # also goes to Sentry
        return False
    return True
