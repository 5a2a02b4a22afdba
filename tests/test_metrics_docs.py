"""Names of metrics stand in the code, the docs, the dashboard and the alert rules: here they are held together."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.web.metric_families import FAMILIES, HISTOGRAM, metrics_table

ROOT = Path(__file__).parent.parent
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "storyrelay.json"

_TOKEN = re.compile(
    r"""\s+ | (?P<text>"(?:[^"\\]|\\.)*") | (?P<span>\[(?:\d+[smhdwy]|\$__rate_interval)\]) | (?P<number>\d+(?:\.\d+)?)
    | (?P<name>[A-Za-z_:][\w:]*) | (?P<mark>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){},])""",
    re.VERBOSE,
)
_FUNCTIONS = {"absent", "histogram_quantile", "increase", "label_values", "max", "min", "rate", "sum"}
_WORDS = {"by", "without", "and", "or", "unless", "on", "ignoring"}
_COUNTED = re.compile(r"\b(?:rate|increase)\(([a-z_]+)")


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression with the name of its alert or panel."""
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def tokens(expression: str) -> list[tuple[str, str]]:
    """Kinds and texts. Raises ValueError for what is no PromQL."""
    found, at = [], 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"not PromQL: {expression[at:]}")
        at = match.end()
        if match.lastgroup:
            found.append((match.lastgroup, match[0]))
    return found


def balanced(expression: str) -> bool:
    open_ones: list[str] = []
    pairs = {")": "(", "}": "{"}
    for kind, text in tokens(expression):
        if kind == "mark" and text in "({":
            open_ones.append(text)
        elif kind == "mark" and text in ")}" and (not open_ones or open_ones.pop() != pairs[text]):
            return False
    return not open_ones


def exposed() -> dict[str, set[str]]:
    """Every name that /metrics has, with its labels."""
    names = {}
    for family in FAMILIES.values():
        labels = set(family.labels)
        if family.type == HISTOGRAM:
            names |= {f"{family.name}_{part}": labels for part in ("sum", "count")}
            names[f"{family.name}_bucket"] = labels | {"le"}
        else:
            names[family.exposed] = labels
    return names


def named(expression: str) -> set[str]:
    return {text for kind, text in tokens(expression) if kind == "name" and text.startswith("storyrelay_")}


def test_the_docs_have_every_metric_as_it_is() -> None:
    assert metrics_table() in (ROOT / "docs" / "metrics.md").read_text()


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_an_expression_is_whole_and_names_what_there_is(where: str, expression: str) -> None:
    assert balanced(expression), where
    known = exposed()
    used = named(expression)
    assert used, where
    assert used <= set(known), where
    labels = set().union(*(known[name] for name in used)) | {"kind"}
    words = {text for kind, text in tokens(expression) if kind == "name"}
    assert words - used - _FUNCTIONS - _WORDS <= labels, where


def test_rates_are_of_counters_alone() -> None:
    counted = {name for _, expression in expressions() for name in _COUNTED.findall(expression)}
    assert counted
    assert {name for name in counted if not name.endswith(("_total", "_count", "_bucket", "_sum"))} == set()


def test_every_metric_is_on_the_dashboard() -> None:
    shown = set().union(*(named(expression) for _, expression in expressions()))
    missing = [
        family.name for family in FAMILIES.values() if not any(name.startswith(family.name) for name in shown)
    ]
    assert missing == []


def test_the_dashboard_can_be_imported() -> None:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text())
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert dashboard["uid"] == "storyrelay"
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    queried = [panel for panel in panels if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in queried} == {"${datasource}"}
    assert all(panel["description"] for panel in queried)
    cells = [cell for panel in panels for cell in covered(panel["gridPos"])]
    assert len(cells) == len(set(cells)), "panels lie on each other"


def covered(position: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(position["x"], position["x"] + position["w"]):
        for y in range(position["y"], position["y"] + position["h"]):
            yield x, y


def test_every_alert_says_what_happened_and_what_to_do() -> None:
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
            assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian's package prometheus) is not here"
)
def test_prometheus_itself_takes_the_rules() -> None:
    done = subprocess.run(
        ["promtool", "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("broken", ["sum(a", "a}", "rate(a[5 m])", "a ? b", 'a{b="c}'])
def test_what_is_no_expression_would_be_found(broken: str) -> None:
    try:
        assert not balanced(broken)
    except ValueError as error:
        assert "not PromQL" in str(error)  # noqa: PT017  either is a finding
