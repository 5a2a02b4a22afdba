"""What routes may ask of a story."""

from collections.abc import Mapping
from typing import Any

from service.ledger.stories import StoryRow

_ALSO_ASKED_FOR = ("idea", "language", "aspect_ratio")
"""What the Story API need not repeat of our own request."""


def routing_facts(row: StoryRow, seconds: float | None) -> Mapping[str, Any]:
    """Field → JSON value (untrusted): the Story API's last answer, our own request, and what was found out here.

    `seconds` is the length of the downloaded video (None: not known); `duration` is the whole number nearest to it.
    """
    asked = {name: row.request.get(name) for name in _ALSO_ASKED_FOR if row.snapshot.get(name) is None}
    own = {"title": row.title, "kind": row.kind, "labels": row.labels}
    return {**row.snapshot, **asked, **own, "duration": None if seconds is None else round(seconds)}
