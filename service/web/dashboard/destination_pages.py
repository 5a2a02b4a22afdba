"""Destinations and routes: what is configured, how each place does, and the buttons that mend it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from service import pausing, send_testing
from service.configuration import DestinationConfig, shown_options
from service.domain.people import Role
from service.domain.states import Circuit, StepKind
from service.domain.steps import Lane
from service.ledger import destinations, lanes, overview, send_tests
from service.ledger.lanes import LaneState
from service.ledger.overview import Health
from service.ledger.send_tests import SendTest, Stand
from service.web.dashboard.guard import doer, needs
from service.wiring import Relay

HEALTH_HOURS = 24


@dataclass(frozen=True)
class Place:
    """All that a destination's card shows; `config` None: it is not configured any more."""

    name: str
    config: DestinationConfig | None
    options: Mapping[str, str]
    rate: str
    max_in_flight: int
    lane: LaneState
    notices: LaneState
    health: Health
    last_done: datetime | None
    backlog: int
    test: SendTest | None

    def stand(self, now: datetime) -> str:
        """One word: `works`, `failing` (nothing arrived yet), `open` (probing), `held` (it asked to wait), `off`."""
        if self.lane.circuit != Circuit.CLOSED:
            return str(self.lane.circuit.value)
        if self.lane.not_before is not None and self.lane.not_before > now:
            return "held"
        return "failing" if self.health.failed and not self.has_worked else "works"

    @property
    def has_worked(self) -> bool:
        """Whether anything ever arrived there, were it a test."""
        return self.last_done is not None or (self.test is not None and self.test.state == Stand.SENT)


def add(page: Blueprint, relay: Relay) -> None:
    """Adds the page, its part that renews itself, and what its buttons do."""

    @page.get("/destinations")
    @needs(Role.VIEWER)
    def destination_list() -> str:
        return render_template("destinations.html", routes=relay.configuration.routes, **_seen(relay))

    @page.get("/destinations/live")
    @needs(Role.VIEWER)
    def destination_list_live() -> str:
        return render_template("destinations_live.html", **_seen(relay))

    _add_buttons(page, relay)


def _add_buttons(page: Blueprint, relay: Relay) -> None:
    @page.post("/destinations/<name>/pause")
    @needs(Role.OPERATOR)
    def destination_pause(name: str) -> AnyResponse:
        _check(relay, name)
        if pausing.pause(relay, name, doer()):
            flash(
                f"{name} is paused. What is on its way there waits, and spends no attempt, until it is resumed."
            )
        else:
            flash(f"{name} was paused already.")
        return redirect(url_for("dashboard.destination_list"))

    @page.post("/destinations/<name>/resume")
    @needs(Role.OPERATOR)
    def destination_resume(name: str) -> AnyResponse:
        _check(relay, name)
        if pausing.resume(relay, name, doer()):
            flash(f"{name} goes on: what waited for it is sent now.")
        else:
            flash(f"{name} was not paused.")
        return redirect(url_for("dashboard.destination_list"))

    @page.post("/destinations/<name>/test")
    @needs(Role.OPERATOR)
    def destination_test(name: str) -> AnyResponse:
        if name not in relay.configuration.destinations:
            abort(404, f"There is no destination “{name[:80]}”.")
        send_testing.ask(relay, name, doer())
        return redirect(url_for("dashboard.destination_list") + f"#place-{name}")


def _check(relay: Relay, name: str) -> None:
    """What is gone from the configuration can still be paused and resumed, if deliveries wait for it."""
    with relay.ledger.read() as tx:
        known = {state.lane.destination for state in lanes.all_lanes(tx)}
    if name not in relay.configuration.destinations and (name not in known or not name):
        abort(404, f"There is no destination “{name[:80]}”.")


def _seen(relay: Relay) -> dict[str, object]:
    now = relay.now()
    configured = relay.configuration.destinations
    with relay.ledger.read() as tx:
        states = {state.lane: state for state in lanes.all_lanes(tx)}
        health = overview.health(tx, now - timedelta(hours=HEALTH_HOURS))
        backlog = destinations.backlog(tx)
        gone = sorted({name for name in backlog if name not in configured})
        names = [*configured, *gone]
        last = destinations.last_done(tx, names)
        tests = {name: send_tests.newest(tx, name) for name in names}
    places = [
        _place(relay, name, states, health, backlog.get(name, 0), last.get(name), tests[name])
        for name in names
    ]
    waits = any(_waits(place.test, now) for place in places)
    return {"places": places, "now": now, "every": "1s" if waits else "5s", "waits_for_test": _waits}


def _waits(test: SendTest | None, now: datetime) -> bool:
    return test is not None and test.ended_at is None and not send_testing.is_lost(test, now)


def _place(
    relay: Relay,
    name: str,
    states: Mapping[Lane, LaneState],
    health: Mapping[str, Health],
    backlog: int,
    last_done: datetime | None,
    test: SendTest | None,
) -> Place:
    config = relay.configuration.destinations.get(name)
    lane, notices = Lane(StepKind.DELIVER, name), Lane(StepKind.NOTIFY, name)
    rate = relay.rate(name)
    return Place(
        name=name,
        config=config,
        options=shown_options(config) if config is not None else {},
        rate=str(rate) if rate is not None else "",
        max_in_flight=relay.dispatcher.limit(lane),
        lane=states.get(lane, LaneState(lane)),
        notices=states.get(notices, LaneState(notices)),
        health=health.get(name, Health()),
        last_done=last_done,
        backlog=backlog,
        test=test,
    )
