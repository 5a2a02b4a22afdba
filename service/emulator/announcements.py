"""Which webhooks a story gets, and what they say."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.emulator.faults import Faults
from service.emulator.webhooks import Letter


@dataclass(frozen=True)
class Announcement:
    """Webhooks that follow each other, `delay` seconds after the story has come to its end."""

    delay: float
    statuses: tuple[str, ...]


def announcements(faults: Faults, status: str) -> tuple[Announcement, ...]:
    """What is sent when a story ends; without faults one webhook, at once."""
    if "webhook-never" in faults or "webhook-early" in faults:
        return ()
    statuses = (status, "processing") if "webhook-out-of-order" in faults else (status,)
    times = int(faults.number("webhook-twice")) or 1
    return (Announcement(faults.number("webhook-late"), statuses),) * times


def write_letter(url: str, status: str, story: Mapping[str, Any], faults: Faults) -> Letter:
    """A webhook in V1's shape, or in the one that the story's faults ask for; `story` is the story object."""
    said = {"customer_id": story["customer_id"], "batch_id": story["id"], "status": status}
    if "webhook-data" in faults:
        said = {"data": said}
    if "webhook-story" in faults:
        said = {**story, "status": status}
    content_type = "text/plain; charset=utf-8" if "webhook-text" in faults else "application/json"
    return Letter(url, status, json.dumps(said, ensure_ascii=False).encode(), content_type)
