"""A story that there is without any: what every template must be able to show, and for looking at destinations."""

from datetime import UTC, datetime

from service.domain.delivery import Scene, StoryFacts, Video

NAME = "sample"

STORY = StoryFacts(
    id="story-sample",
    title="A sample",
    idea="A lighthouse keeper finds a letter & reads <it>.",
    aspect_ratio="16:9",
    used_credits=150,
    created_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    revision=1,
    language="English",
    scenes=(Scene("The letter", "It came with the tide."), Scene("The answer", "It went with the wind.")),
    snapshot={
        "id": "story-sample", "title": "A sample", "status": "success", "aspect_ratio": "16:9", "used_credits": 150,
        "is_transition": False, "progress_percentage": 100, "created_at": "2026-01-02T03:04:00+00:00",
        "idea": "A lighthouse keeper finds a letter & reads <it>.",
    },
    labels={"team": "sample"},
)  # fmt: skip
VIDEO = Video("0" * 64, 2_000_000, 15.0, 1280, 720)
