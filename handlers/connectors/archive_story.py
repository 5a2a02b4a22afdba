"""What an archive says of a story: story.json, which comes last and says what the video must be."""

import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from handlers.message_text import clean
from service.domain.delivery import Publication, Scene, StoryFacts

_SIGNED = re.compile(r"sig|token|expires|credential|key-pair|policy", re.IGNORECASE)
"""What the queries of signed addresses have in common (S3, CloudFront, GCS, Azure, and the like)."""


@dataclass(frozen=True)
class Recorded:
    """What a story.json speaks of: its publication's key, its story's id, size and SHA-256 of its video."""

    key: str
    story_id: str
    video: tuple[int, str]


def recorded(story_json: bytes) -> Recorded | None:
    """None when it is none of ours."""
    try:
        facts = json.loads(story_json)
        video = facts["video"]
        return Recorded(
            str(facts["storyrelay"]["key"]),
            str(facts["story"]["id"]),
            (int(video["bytes"]), str(video["sha256"])),
        )
    except (ValueError, LookupError, TypeError):
        return None


def story_json(publication: Publication, *, poster: bool, captions: bool) -> bytes:
    """The facts of a publication; `snapshot` is the Story API's answer as it came, but for signatures."""
    story = asdict(_cleaned(publication.story))
    facts = {
        "storyrelay": {
            "key": publication.key,
            "message_id": publication.message_id,
            "route": publication.route,
            "destination": publication.destination,
            "published_at": publication.published_at,
        },
        "video": {"file": "video.mp4", **asdict(publication.video)},
        "poster": {"file": "poster.jpg"} if poster else None,
        "captions": {"file": "captions.vtt"} if captions else None,
        "snapshot": _without_signatures(story.pop("snapshot")),
        "story": story,
    }
    return as_json(facts)


def as_json(value: object) -> bytes:
    """A JSON text for people, with a line's end."""
    return json.dumps(value, indent=2, default=_plain).encode() + b"\n"


def _cleaned(story: StoryFacts) -> StoryFacts:
    """The texts without control characters and halves of pairs, which databases and terminals choke on."""
    scenes = tuple(Scene(clean(scene.name), clean(scene.narration)) for scene in story.scenes)
    return replace(story, title=clean(story.title), idea=clean(story.idea), scenes=scenes)


def _without_signatures(value: Any) -> Any:
    """A JSON value whose signed addresses have lost their query: an archive may be open to all."""
    if isinstance(value, dict):
        return {key: _without_signatures(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_signatures(item) for item in value]
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        bare, _, query = value.partition("?")
        return bare if _SIGNED.search(query) else value
    return value


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else dict(value)  # type: ignore[call-overload]
