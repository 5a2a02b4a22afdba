"""Names of metrics stand in the code, the docs, the dashboard and the alert rules: here they are held together."""

from pathlib import Path

from service.web.metric_families import metrics_table

ROOT = Path(__file__).parent.parent


def test_the_docs_have_every_metric_as_it_is() -> None:
    assert metrics_table() in (ROOT / "docs" / "metrics.md").read_text()
