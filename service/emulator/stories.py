"""A story as the API keeps it, and as it answers it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from service.emulator.faults import Faults
from service.emulator.film import FilmPlan
from service.emulator.films import Film
from service.emulator.schema import AudioOption, Elements, Storyboard
from service.emulator.vocabulary import Status
from service.emulator.webhooks import WebhookDelivery

NEW_SHARE = 0.1
STORYBOARD_PROGRESS = 25
NEARLY = 95


@dataclass(frozen=True)
class Order:
    """What an automatic call asks for; `text` is the idea without markers."""

    idea: str
    text: str
    title: str
    scene_count: int
    scene_seconds: int
    aspect_ratio: str
    is_transition: bool
    video_tool: str
    audio: AudioOption
    elements: Elements
    image_urls: tuple[str, ...]
    webhook_url: str


@dataclass(frozen=True)
class Making:
    """A video in the making: since when (seconds, monotonic), for how long, from which progress on."""

    plan: FilmPlan
    began: float
    seconds: float
    from_progress: int
    webhook_url: str = ""

    def progress(self, now: float) -> int:
        """In percent; the last ones come with the video."""
        share = min(1.0, (now - self.began) / self.seconds) if self.seconds > 0 else 1.0
        if self.is_new(now):
            return 0
        return max(1, round(self.from_progress + (NEARLY - self.from_progress) * share))

    def is_new(self, now: float) -> bool:
        """Whether work on a story that began from nothing has not started."""
        return self.from_progress == 0 and now - self.began < self.seconds * NEW_SHARE


@dataclass
class Tallies:
    """What was counted and what is left of faults."""

    gets: int = 0
    downloads: int = 0
    burst_left: int = 0
    cuts_left: int = 0
    url_serial: int = 1
    url_downloads: int = 0


@dataclass
class Story:
    """One story; guarded by the studio's lock."""

    id: str
    customer_id: str
    origin: str
    idea: str
    text: str
    title: str
    aspect_ratio: str
    audio: AudioOption
    storyboard: Storyboard
    is_transition: bool = False
    faults: Faults = field(default_factory=Faults)
    used_credits: int = 0
    status: Status = "new"
    settled_progress: int = 0
    message: str | None = None
    making: Making | None = None
    plan: FilmPlan | None = None
    films: list[Film] = field(default_factory=list)
    url_from: float = 0.0
    tallies: Tallies = field(default_factory=Tallies)
    deliveries: list[WebhookDelivery] = field(default_factory=list)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def take_faults(self, faults: Faults) -> None:
        """Adds faults; what they count begins with them."""
        self.faults = faults.beside(self.faults)
        self.tallies.burst_left += int(faults.number("api-burst"))
        self.tallies.cuts_left += int(faults.number("download-cut"))

    def touch(self) -> None:
        """Notes that something changed."""
        self.updated_at = datetime.now(UTC)

    def status_at(self, now: float) -> Status:
        """How it stands at `now` (seconds, monotonic); a concat leaves a finished story finished."""
        if self.making is None or self.status == "success":
            return self.status
        return "new" if self.making.is_new(now) else "processing"

    def progress_at(self, now: float) -> int:
        """In percent."""
        if self.making is None or self.status == "success":
            return self.settled_progress
        return self.making.progress(now)

    def shows_video(self, now: float) -> bool:
        """Whether `video_url` is there; it is away while concat composes a new cut."""
        return self.status == "success" and self.making is None and bool(self.films) and now >= self.url_from


class StoryAnswer(BaseModel):
    """The story object of the V2 page, and V1's `message`; what is None is left out."""

    id: str
    title: str
    idea: str
    is_transition: bool
    status: Status
    progress_percentage: int
    aspect_ratio: str
    used_credits: int
    storyboard: Storyboard | None
    all_medias: Sequence[str] = ()
    video_url: str | None
    message: str | None
    created_at: str
    updated_at: str

    def body(self) -> dict[str, Any]:
        """The JSON of an answer."""
        return self.model_dump(mode="json", exclude_none=True)


def answer(story: Story, now: float, video_url: str | None) -> StoryAnswer:
    """The story as it stands; `video_url` is None while there is none yet, empty while it is composed."""
    progress = story.progress_at(now)
    return StoryAnswer(
        id=story.id,
        title=story.title,
        idea=story.idea,
        is_transition=story.is_transition,
        status=story.status_at(now),
        progress_percentage=progress,
        aspect_ratio=story.aspect_ratio,
        used_credits=story.used_credits,
        storyboard=story.storyboard if _storyboard_is_out(story, progress) else None,
        video_url=video_url,
        message=story.message,
        created_at=story.created_at.isoformat(timespec="microseconds"),
        updated_at=story.updated_at.isoformat(timespec="microseconds"),
    )


def _storyboard_is_out(story: Story, progress: int) -> bool:
    """At once in the flow by steps, after a while in the automatic one."""
    return story.making is None or story.status == "success" or progress >= STORYBOARD_PROGRESS
