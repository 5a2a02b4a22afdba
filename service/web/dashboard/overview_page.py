"""The overview: what is where, how fast, and what needs a hand."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import Blueprint, render_template

from service.domain.people import Role
from service.domain.states import StepKind
from service.ledger import lanes, overview, stories
from service.ledger.lanes import LaneState
from service.ledger.overview import Health, Waiting
from service.web.dashboard.charts import Bar, bars
from service.web.dashboard.guard import needs
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
    """All that the page shows."""

    states: dict[str, int]
    waiting: list[Waiting]
    places: list[Place]
    typical: float | None
    slow: float | None
    published: int
    finished: int
    missed: int
    credits: list[Bar]
    spent: float


def add(page: Blueprint, relay: Relay) -> None:
    """Adds the page and the part of it that renews itself."""

    @page.get("/")
    @needs(Role.VIEWER)
    def overview() -> str:
        return render_template("overview.html", seen=read(relay), now=relay.now(), days=DAYS)

    @page.get("/overview/live")
    @needs(Role.VIEWER)
    def overview_live() -> str:
        return render_template("overview_live.html", seen=read(relay), now=relay.now(), days=DAYS)


def read(relay: Relay) -> Overview:
    """Reads the ledger once."""
    now = relay.now()
    since = now - timedelta(days=DAYS)
    with relay.ledger.read() as tx:
        seconds = overview.publishing_seconds(tx, since)
        finished, missed = stories.missed_webhooks(tx, since)
        spent = overview.credits_by_day(tx, since)
        return Overview(
            states=stories.counts(tx),
            waiting=overview.waiting(tx, now),
            places=_places(
                relay, lanes.all_lanes(tx), overview.health(tx, now - timedelta(hours=HEALTH_HOURS))
            ),
            typical=_share(seconds, 0.5),
            slow=_share(seconds, 0.95),
            published=len(seconds),
            finished=finished,
            missed=missed,
            credits=bars(_each_day(spent, now)),
            spent=sum(spent.values()),
        )


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


def _share(ordered: list[float], share: float) -> float | None:
    """The value below which this share of the sorted values lies (nearest rank)."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def _each_day(values: dict[date, float], now: datetime) -> list[tuple[date, float]]:
    days = [(now - timedelta(days=back)).date() for back in reversed(range(DAYS))]
    return [(day, values.get(day, 0.0)) for day in days]
