"""The overview: what is where, how fast, and what needs a hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import Blueprint, render_template

from service.domain.people import Role
from service.domain.results import RESULT_OF, RESULTS
from service.domain.states import StepKind, StoryState
from service.ledger import approvals, lanes, overview, stories
from service.ledger.lanes import LaneState
from service.ledger.overview import Day, Health, Publishing, Times, Waiting
from service.web.dashboard.charts import Bar, Point, bars, points, stacks
from service.web.dashboard.guard import needs
from service.web.dashboard.notice_pages import Lasting, lasting
from service.wiring import Relay

DAYS = 14
HEALTH_HOURS = 24


@dataclass(frozen=True)
class Place:
    """A destination's line: its configuration's kind ('' when it is not configured any more), lane and health."""

    name: str
    connector: str
    lane: LaneState | None
    health: Health


@dataclass(frozen=True)
class Overview:
    """What moves by the second."""

    states: dict[str, int]
    waiting: list[Waiting]
    places: list[Place]
    unanswered: int
    troubles: list[Lasting]


@dataclass(frozen=True)
class DayLine:
    """A day as the tables below the charts tell it."""

    day: date
    results: Mapping[str, int]
    times: Times | None
    credits: float


@dataclass(frozen=True)
class Trends:
    """What moves by the day; `slowest` is the top of the chart of times, in seconds."""

    times: Times | None
    finished: int
    missed: int
    days: list[DayLine]
    results: list[Bar]
    typical: list[Point]
    slow: list[Point]
    slowest: float
    credits: list[Bar]
    spent: float


def add(page: Blueprint, relay: Relay) -> None:
    """Adds the page and the parts of it that renew themselves."""

    @page.get("/")
    @needs(Role.VIEWER)
    def overview() -> str:
        return render_template(
            "overview.html", seen=read(relay), trends=trends(relay), now=relay.now(), days=DAYS, parts=RESULTS
        )

    @page.get("/overview/live")
    @needs(Role.VIEWER)
    def overview_live() -> str:
        return render_template("overview_live.html", seen=read(relay), now=relay.now())

    @page.get("/overview/trends")
    @needs(Role.VIEWER)
    def overview_trends() -> str:
        return render_template("overview_trends.html", trends=trends(relay), days=DAYS, parts=RESULTS)


def read(relay: Relay) -> Overview:
    """Reads what is where now."""
    now = relay.now()
    with relay.ledger.read() as tx:
        health = overview.health(tx, now - timedelta(hours=HEALTH_HOURS))
        places = _places(relay, lanes.all_lanes(tx), health)
        unanswered = approvals.count_open(tx)
        states, waiting = overview.states(tx), overview.waiting(tx, now)
    return Overview(states, waiting, places, unanswered, lasting(relay))


def trends(relay: Relay) -> Trends:
    """Reads how it went, day by day."""
    now = relay.now()
    on = [(now - timedelta(days=back)).date() for back in reversed(range(DAYS))]
    since = datetime.combine(on[0], datetime.min.time(), now.tzinfo)
    with relay.ledger.read() as tx:
        times = overview.publishing(tx, since)
        finished, missed = stories.missed_webhooks(tx, since)
        counted = overview.by_day(tx, since)
    lines = [_line(day, counted.get(day, Day()), times) for day in on]
    slowest = max((line.times.slow for line in lines if line.times), default=0.0)
    typical = [(line.day, line.times.typical if line.times else None) for line in lines]
    slow = [(line.day, line.times.slow if line.times else None) for line in lines]
    return Trends(
        times=times.all,
        finished=finished,
        missed=missed,
        days=lines,
        results=stacks([(line.day, line.results) for line in lines]),
        typical=points(typical, slowest),
        slow=points(slow, slowest),
        slowest=slowest,
        credits=bars([(line.day, line.credits) for line in lines]),
        spent=sum(line.credits for line in lines),
    )


def _line(day: date, counted: Day, times: Publishing) -> DayLine:
    results = dict.fromkeys(RESULTS, 0)
    for state, count in counted.states.items():
        results[RESULT_OF[StoryState(state)]] += count
    return DayLine(day, results, times.by_day.get(day), counted.credits)


def _places(relay: Relay, states: list[LaneState], health: dict[str, Health]) -> list[Place]:
    by_name = {state.lane.destination: state for state in states if state.lane.kind == StepKind.DELIVER}
    configured = relay.configuration.destinations
    names = [*configured, *sorted((by_name.keys() | health.keys()) - configured.keys())]
    return [
        Place(
            name,
            configured[name].connector if name in configured else "",
            by_name.get(name),
            health.get(name, Health()),
        )
        for name in names
    ]
