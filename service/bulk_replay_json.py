"""Replays of many stories as programs read them."""

from typing import Any

from service.bulk_dry_run import DryRun
from service.ledger.bulk_replays import BulkReplay
from service.story_json import iso


def bulk_json(bulk: BulkReplay) -> dict[str, Any]:
    """A bulk replay for programs."""
    return {
        "id": bulk.id,
        "who": bulk.who,
        "state": bulk.state.value,
        "choice": bulk.choice.as_json(),
        "total": bulk.total,
        "exact": bulk.exact,
        "replayed": bulk.replayed,
        "skipped": bulk.skipped,
        "created_at": iso(bulk.created_at),
        "ended_at": iso(bulk.ended_at),
    }


def dry_run_json(run: DryRun) -> dict[str, Any]:
    """What a bulk replay would do."""
    return {
        "choice": run.choice.as_json(),
        "total": run.total,
        "exact": run.exact,
        "looked_at": run.looked_at,
        "replayed": run.replayed,
        "skipped": run.skipped,
        "differ": run.differ,
        "gone": run.gone,
        "new": run.new,
        "examples": [
            {
                "story": each.story.name,
                "then": list(each.plan.then),
                "now": list(each.plan.targets),
                "why_not": each.plan.why_not or None,
            }
            for each in run.examples
        ],
    }
