"""The story as the Story API tells it, V2 or V1: read leniently, kept whole."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from service.domain.delivery import Scene
from service.story_api.errors import BadAnswer
from service.story_api.fields import is_story_id
from service.story_api.texts import TooDeep, cut, line, storable_json

_ID_NAMES = ("id", "story_id", "batch_id")
_LONGEST_TEXT = 20_000
_LONGEST_URL = 8192
_MOST_SCENES = 1000
_NUMBER = re.compile(r"\s*[+-]?\d{1,15}(\.\d{1,15})?\s*", re.ASCII)


class StoryStatus(StrEnum):
    """How far the Story API is. A success may still lack its video for a while."""

    NEW = "new"
    PROCESSING = "processing"
    SUCCESS = "success"
    FAIL = "fail"


@dataclass(frozen=True)
class Story:
    """One answer of the Story API about one story. Every text in it is untrusted.

    `status`: an unknown or missing one counts as processing; `status_text` is what was said.
    `progress`: 0 to 100. `used_credits`: what was charged so far, None if unsaid. `created_at`, `updated_at`: UTC.
    `video_url`: None until there is one; it may be signed, so it stays out of the repr.
    `message`: why it failed (V1). `raw`: the whole answer as it came, but what no database keeps.
    """

    id: str
    title: str
    idea: str
    status: StoryStatus
    status_text: str
    progress: int
    aspect_ratio: str
    used_credits: float | None
    video_url: str | None = field(repr=False)
    message: str
    scenes: tuple[Scene, ...]
    created_at: datetime | None
    updated_at: datetime | None
    is_transition: bool
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def finished(self) -> bool:
        """Whether the Story API will do no more: it failed, or its video is there."""
        return self.status is StoryStatus.FAIL or (
            self.status is StoryStatus.SUCCESS and self.video_url is not None
        )


class NoStory(ValueError):
    """An answer that is JSON, but no object with a usable id."""


def parse_story(data: Any) -> Story:
    """Reads a parsed JSON answer: a story, or one under `data` (V1), with `id`, `story_id` or `batch_id`.

    A field that is missing or odd is read as empty. Raises BadAnswer where there is no object or no usable id.
    """
    try:
        return read_story(data)
    except NoStory as error:
        raise BadAnswer(f"no story: {error}", sent=True) from error


def read_story(data: Any) -> Story:
    """As `parse_story`. Raises NoStory."""
    whole = _storable_object(data)
    told = whole["data"] if isinstance(whole.get("data"), dict) and _id(whole) is None else whole
    status_text = _text(told.get("status"), 40).strip()
    return Story(
        id=_required_id(told),
        title=_text(told.get("title"), 500),
        idea=_text(told.get("idea")),
        status=_status(status_text),
        status_text=status_text,
        progress=round(min(max(_number(told.get("progress_percentage")) or 0, 0), 100)),
        aspect_ratio=_text(told.get("aspect_ratio"), 20),
        used_credits=_number(told.get("used_credits")),
        video_url=_url(told.get("video_url")),
        message=line(_text(told.get("message")), 500),
        scenes=tuple(_scenes(told)),
        created_at=_time(told.get("created_at")),
        updated_at=_time(told.get("updated_at")),
        is_transition=_yes(told.get("is_transition")),
        raw=whole,
    )


def _storable_object(data: Any) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise NoStory("the answer is no JSON object")
    try:
        kept: dict[str, Any] = storable_json(dict(data))
    except TooDeep as error:
        raise NoStory(f"the answer's {error}") from error
    return kept


def _id(told: Mapping[str, Any]) -> str | None:
    for name in _ID_NAMES:
        given = told.get(name)
        if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 2**63:
            return str(given)
        if isinstance(given, str) and is_story_id(given.strip()):
            return given.strip()
    return None


def _required_id(told: Mapping[str, Any]) -> str:
    found = _id(told)
    if found is None:
        names = line(", ".join(list(told)[:10]), 120) or "nothing"
        raise NoStory(f"the answer holds no story's id, only {names}")
    return found


def _status(text: str) -> StoryStatus:
    known = text.lower()
    return StoryStatus(known) if known in set(StoryStatus) else StoryStatus.PROCESSING


def _text(given: Any, limit: int = _LONGEST_TEXT) -> str:
    return cut(given, limit) if isinstance(given, str) else ""


def _url(given: Any) -> str | None:
    text = given.strip() if isinstance(given, str) else ""
    try:
        urlsplit(text)
    except ValueError:
        return None
    return text if text.isprintable() and 0 < len(text) <= _LONGEST_URL else None


def _number(given: Any) -> float | None:
    if isinstance(given, str):
        return float(given) if _NUMBER.fullmatch(given) else None
    if isinstance(given, bool) or not isinstance(given, int | float) or abs(given) > 1e15:
        return None
    return float(given) if math.isfinite(given) else None


def _time(given: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(given.strip())
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (AttributeError, ValueError, OverflowError):
        return None


def _yes(given: Any) -> bool:
    return given is True or (isinstance(given, str) and given.strip().lower() in ("yes", "true"))


def _scenes(told: Mapping[str, Any]) -> Iterable[Scene]:
    storyboard = told.get("storyboard")
    listed = storyboard.get("scenes") if isinstance(storyboard, dict) else None
    for each in _list(listed or told.get("scenes")):
        if isinstance(each, dict):
            spoken = _text(each.get("narrator")) or _text(each.get("narration"))
            yield Scene(name=_text(each.get("name"), 500), narration=spoken)


def _list(given: Any) -> list[Any]:
    return given[:_MOST_SCENES] if isinstance(given, list) else []
