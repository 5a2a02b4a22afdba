"""Every metric: its name, labels and meaning, and how it is read from the ledger."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from service.domain.notices import NoticeKind
from service.domain.states import Circuit, StepKind, StoryState, Verdict
from service.ledger import metrics
from service.ledger.metrics import Series

REMOVED = "(removed)"
"""Stands for destinations that are configured no more: names come from the configuration alone."""

OTHER = "other"

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"


@dataclass(frozen=True)
class Family:
    """A metric. `source`: the name of its tallies, '' where it is read otherwise.

    `fields`: which of a tally's fields its labels are.
    """

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str
    source: str = ""
    fields: tuple[str, ...] = ()

    @property
    def exposed(self) -> str:
        """The name as queries write it."""
        return f"{self.name}_total" if self.type == COUNTER else self.name


_LANE = ("kind", "destination")

FAMILIES = {
    family.name.removeprefix("storyrelay_"): family
    for family in (
        Family(
            "storyrelay_receipts",
            COUNTER,
            ("verdict",),
            "Webhooks that were kept, by what they turned out to be.",
            "receipts",
            ("kind",),
        ),
        Family(
            "storyrelay_webhooks_refused",
            COUNTER,
            ("status",),
            "Webhooks that were answered with an error.",
            "refused",
            ("kind",),
        ),
        Family(
            "storyrelay_webhooks_missed",
            COUNTER,
            (),
            "Submissions that a poll found finished before any webhook came.",
        ),
        Family(
            "storyrelay_webhooks_late",
            COUNTER,
            (),
            "Of these, those whose webhook came after all.",
            "late_webhooks",
        ),
        Family("storyrelay_stories", GAUGE, ("state",), "Stories in the ledger.", "stories", ("kind",)),
        Family(
            "storyrelay_stories_finished",
            COUNTER,
            ("origin", "noticed_by"),
            "Stories that were seen finished or failed, and what told of it.",
            "finished",
            ("kind", "outcome"),
        ),
        Family(
            "storyrelay_published_seconds",
            HISTOGRAM,
            ("noticed_by",),
            "Seconds from the first webhook (or the poll that found it) to the end of a story's last delivery.",
            "published",
            ("kind",),
        ),
        Family(
            "storyrelay_steps", GAUGE, (*_LANE, "state"), "Steps in the ledger.", "steps", (*_LANE, "outcome")
        ),
        Family(
            "storyrelay_oldest_due_step_age_seconds",
            GAUGE,
            _LANE,
            "For how long the oldest step of the lane has been due.",
        ),
        Family(
            "storyrelay_attempt_seconds",
            HISTOGRAM,
            (*_LANE, "outcome"),
            "How long attempts took.",
            "attempts",
            (*_LANE, "outcome"),
        ),
        Family(
            "storyrelay_circuit", GAUGE, (*_LANE, "state"), "1 for the state that the lane's circuit is in."
        ),
        Family(
            "storyrelay_story_api_calls",
            COUNTER,
            ("call", "status"),
            "Calls of the Story API; status none: no answer.",
            "api_calls",
            ("kind", "outcome"),
        ),
        Family(
            "storyrelay_video_bytes",
            COUNTER,
            (),
            "Bytes of the videos that were taken into the store.",
            "video_bytes",
        ),
        Family("storyrelay_credits_used", COUNTER, (), "Credits that the Story API charged.", "credits"),
        Family("storyrelay_trouble_open", GAUGE, ("kind",), "Troubles that last."),
        Family("storyrelay_notices", COUNTER, ("kind",), "Notices to people.", "notices", ("kind",)),
        Family(
            "storyrelay_heartbeat_age_seconds",
            GAUGE,
            ("process",),
            "For how long no scheduler has said that it is alive.",
        ),
        Family("storyrelay_workers", GAUGE, ("kind",), "Workers that the queue knows."),
        Family(
            "storyrelay_worker_heartbeat_age_seconds",
            GAUGE,
            ("kind",),
            "For how long the most silent worker of the kind has not said that it is alive.",
        ),
        Family("storyrelay_queue_jobs", GAUGE, ("kind",), "Jobs that wait in the queue."),
        Family("storyrelay_queue_up", GAUGE, (), "1 while the queue answers."),
        Family(
            "storyrelay_tallies_waiting",
            GAUGE,
            (),
            "What happened and is not in the counters yet: the scheduler adds it.",
        ),
        Family("storyrelay_build_info", GAUGE, ("version",), "Always 1."),
    )
}

_KNOWN: Mapping[str, Sequence[str]] = {
    "receipts": list(Verdict),
    "notices": list(NoticeKind),
    "stories": list(StoryState),
}
"""Values of a single label that are shown also while they count nothing."""

Name = Callable[[str], str]
"""A destination's name as it is shown."""


def shown_name(configured: Mapping[str, Any]) -> Name:
    """Bounds the names of destinations to those of the configuration."""
    return lambda name: name if name in configured or not name else REMOVED


def empty(name: str) -> Any:
    """The metric without samples."""
    family = FAMILIES[name]
    kinds = {COUNTER: CounterMetricFamily, GAUGE: GaugeMetricFamily, HISTOGRAM: HistogramMetricFamily}
    return kinds[family.type](family.name, family.meaning, labels=family.labels)


def from_totals(
    plain: Mapping[Series, float], timed: Mapping[Series, metrics.Histogram], show: Name
) -> Iterator[Metric]:
    """The metrics that are sums of tallies, but steps, to which those that wait belong."""
    for name, family in FAMILIES.items():
        if not family.source or name == "steps":
            continue
        made = empty(name)
        if family.type == HISTOGRAM:
            _add_histograms(made, family, timed, show)
        else:
            for labels, value in sums(family, plain, show).items():
                made.add_metric(labels, value)
        yield made
    missed = empty("webhooks_missed")
    missed.add_metric([], plain.get(Series("finished", "submitted", outcome="poll"), 0))
    yield missed


def sums(family: Family, plain: Mapping[Series, float], show: Name) -> dict[tuple[str, ...], float]:
    """A metric's samples by their labels."""
    found: dict[tuple[str, ...], float] = defaultdict(float)
    if not family.fields:
        found[()] = 0.0
    for known in _KNOWN.get(family.source, ()):
        found[(str(known),)] = 0.0
    for series, value in plain.items():
        if series.name == family.source:
            found[_labels(family, series, show)] += value
    return found


def _add_histograms(
    made: HistogramMetricFamily, family: Family, timed: Mapping[Series, metrics.Histogram], show: Name
) -> None:
    merged: dict[tuple[str, ...], metrics.Histogram] = {}
    for series, histogram in timed.items():
        if series.name == family.source:
            labels = _labels(family, series, show)
            before = merged.get(labels)
            merged[labels] = histogram if before is None else _merged(before, histogram)
    for labels, histogram in merged.items():
        made.add_metric(labels, metrics.cumulated(family.source, histogram), histogram.sum)


def _merged(one: metrics.Histogram, other: metrics.Histogram) -> metrics.Histogram:
    buckets = [a + b for a, b in zip(one.buckets, other.buckets, strict=True)]
    return metrics.Histogram(buckets, one.sum + other.sum)


def _labels(family: Family, series: Series, show: Name) -> tuple[str, ...]:
    values = {"kind": series.kind, "destination": show(series.destination), "outcome": series.outcome}
    if family.source in _KNOWN and values["kind"] not in _KNOWN[family.source]:
        values["kind"] = OTHER
    return tuple(values[field] for field in family.fields)


STEP_KINDS = tuple(StepKind)
CIRCUITS = tuple(Circuit)


def metrics_table() -> str:
    """Every metric as docs/metrics.md shows it, in Markdown."""
    rows = [
        f"| `{each.exposed}` | {each.type} | {', '.join(f'`{name}`' for name in each.labels)} | {each.meaning} |"
        for each in FAMILIES.values()
    ]
    return "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *rows]) + "\n"
