"""What an emulator shows of itself: its stories and the calls it got."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from service.emulator.studio import Studio
from service.emulator.webhooks import WebhookDelivery


@dataclass(frozen=True)
class Call:
    """One request as it was answered; the query is left out, for it may hold a signature."""

    at: datetime
    method: str
    path: str
    status: int
    seconds: float


@dataclass(frozen=True)
class StoryReport:
    """One story with what happened around it; `gets` are GETs of the story, `downloads` of its videos."""

    id: str
    customer_id: str
    title: str
    idea: str
    status: str
    progress_percentage: int
    used_credits: int
    faults: Mapping[str, str]
    gets: int
    downloads: int
    cuts: int
    video_url: str | None
    webhooks: tuple[WebhookDelivery, ...]


def report_stories(studio: Studio) -> tuple[StoryReport, ...]:
    """All stories, the oldest first."""
    with studio.lock:
        return tuple(_report(studio, story_id) for story_id in studio.stories)


def _report(studio: Studio, story_id: str) -> StoryReport:
    story = studio.stories[story_id]
    answer = studio.answer(story)
    return StoryReport(
        id=story.id,
        customer_id=story.customer_id,
        title=story.title,
        idea=story.idea,
        status=answer.status,
        progress_percentage=answer.progress_percentage,
        used_credits=story.used_credits,
        faults=dict(story.faults.values),
        gets=story.tallies.gets,
        downloads=story.tallies.downloads,
        cuts=len(story.films),
        video_url=answer.video_url or None,
        webhooks=tuple(story.deliveries),
    )
