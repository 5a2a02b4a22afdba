"""Destinations: how each is configured, whether work towards it passes, and a test."""

from typing import Any

from flask import Response, jsonify
from flask_openapi.blueprint import APIBlueprint

from service.configuration import DestinationConfig, shown_options
from service.domain.api_tokens import Scope
from service.domain.states import StepKind
from service.domain.steps import Lane
from service.ledger import lanes
from service.ledger.lanes import LaneState
from service.redaction import redact
from service.send_testing import send_test
from service.story_json import iso
from service.web.api.answers import answers, tagged
from service.web.api.gate import takes, who
from service.web.api.problems import refuse
from service.web.api.requests import DestinationPath
from service.web.api.results import Destinations, Tested
from service.web.slow_lane import SlowLane
from service.wiring import Relay

_TAG = tagged("Destinations")
_KINDS = (StepKind.DELIVER, StepKind.NOTIFY)


def add(api: APIBlueprint, relay: Relay, slow: SlowLane) -> None:
    """Adds the calls."""

    @api.get("/destinations", tags=_TAG, responses=answers({200: Destinations}))
    @takes(Scope.READ)
    def destination_list() -> Response:
        """List the destinations, with whether work towards them passes; secrets are masked"""
        with relay.ledger.read() as tx:
            known = {state.lane: state for state in lanes.all_lanes(tx)}
        configured = sorted(relay.configuration.destinations.items())
        return jsonify(items=[_destination(each, known) for _, each in configured])

    tested = answers({200: Tested}, {502: "The destination did not take it; `detail` says why."})

    @api.post("/destinations/<string:destination>/test", tags=_TAG, responses=tested)
    @takes(Scope.OPERATE)
    def test(path: DestinationPath) -> Response:
        """Send something harmless, marked as a test

        When that works, a destination that was paused or switched off gets its deliveries again.
        """
        name = path.destination
        if name not in relay.configuration.destinations:
            raise refuse(404, "no such destination", "unknown-destination")
        with slow.place():
            published, reopened = send_test(relay, name, who())
        relay.dispatcher.dispatch(reopened)
        kinds = [lane.kind for lane in reopened]
        return jsonify(
            destination=name, sent=True, url=published.url, remark=published.remark, reopened=kinds
        )


def _destination(each: DestinationConfig, known: dict[Lane, LaneState]) -> dict[str, Any]:
    return {
        "name": each.name,
        "connector": each.connector,
        "options": shown_options(each),
        "max_in_flight": each.max_in_flight,
        "after": list(each.after),
        "fallback": each.fallback,
        "lanes": [
            _lane(known.get(lane, LaneState(lane))) for lane in (Lane(kind, each.name) for kind in _KINDS)
        ],
    }


def _lane(state: LaneState) -> dict[str, Any]:
    return {
        "kind": state.lane.kind,
        "circuit": state.circuit,
        "reason": state.reason,
        "message": redact(state.message) if state.message else None,
        "opened_at": iso(state.opened_at),
        "probe_at": iso(state.probe_at),
        "not_before": iso(state.not_before),
    }
