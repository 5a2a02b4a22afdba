"""Lets lanes pass again whose settings were mended, and switches off those that failed for too long."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from service.domain.notices import NoticeKind, Trouble
from service.ledger import lanes, troubles
from service.ledger.lanes import LaneState
from service.wiring import Relay

log = structlog.get_logger()


@dataclass(frozen=True)
class LaneWatch:
    """Any number may watch at once: the ledger says which of them changed a lane."""

    relay: Relay

    def look(self) -> None:
        """One look at all lanes."""
        now = self.relay.now()
        with self.relay.ledger.write() as tx:
            states = lanes.all_lanes(tx)
            fingerprints = {state.lane: self.relay.fingerprint(state.lane) for state in states}
            for lane in lanes.close_changed(tx, fingerprints, now):
                log.info("lane.resumed", lane=str(lane), why="its settings changed")
            for state in lanes.expired(states, now, self.relay.settings.circuit_off_seconds):
                if lanes.switch_off(tx, state.lane):
                    self._tell_off(tx, state, now)

    def _tell_off(self, tx: Any, state: LaneState, now: datetime) -> None:
        lane, name = state.lane, state.lane.destination
        log.error("lane.off", lane=str(lane))
        trouble = Trouble(
            key="",
            kind=NoticeKind.LANE_OFF,
            title=f"Switched off: {name}",
            text=f"{state.message or ''}\nMend it, then: storyrelay send-test {name}",
            about=name,
        )
        troubles.end(tx, NoticeKind.LANE_PAUSED, now, str(lane), quietly=True)
        told = self.relay.configuration.notices
        troubles.begin(tx, trouble, told, now, str(lane), since=state.opened_at)
