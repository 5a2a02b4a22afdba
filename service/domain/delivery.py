"""What a connector is given to publish, what it answers, and how it fails."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

Reference = Mapping[str, Any]
"""What a place told us about a publication (message ids, URLs): JSON values, kept with the step."""


def _not_told(_sent: int, _total: int) -> None:
    """Where nobody wants to know how far an upload is."""


class DeliveryFailed(Exception):
    """One attempt at a place failed; the step machine decides what follows from it.

    `permanent`: trying again can't help (4xx but 401, 403, 408, 425, 429).
    `refused`: the place refused our login or rights (401, 403): the destination is paused, no attempt spent.
    `retry_after`: seconds that the place asked us to wait.
    The message is for people: what the place said, and what to do; never a secret.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        refused: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.refused = refused
        self.retry_after = retry_after


@dataclass(frozen=True)
class Scene:
    """One scene of the storyboard: its name and the text that is spoken, both untrusted."""

    name: str
    narration: str


@dataclass(frozen=True)
class StoryFacts:
    """The story as its destinations see it. Every text in it is untrusted.

    `snapshot` is the Story API's last answer as it came, for the archive. `labels` are our submission's own.
    """

    id: str
    title: str
    idea: str
    aspect_ratio: str
    used_credits: float | None
    created_at: datetime | None
    revision: int
    language: str | None = None
    scenes: tuple[Scene, ...] = ()
    snapshot: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call the story: its title, else the start of its idea, else its id."""
        return self.title.strip() or self.idea.strip()[:80] or self.id


@dataclass(frozen=True)
class Video:
    """The downloaded video: SHA-256 in hex, size in bytes, length in seconds, size in pixels as displayed."""

    sha256: str
    bytes: int
    seconds: float
    width: int
    height: int


@dataclass(frozen=True)
class Links:
    """Signed media URLs of ours, good for 30 days; None where there is no such file."""

    video: str
    poster: str | None
    captions: str | None


class StoryFiles(Protocol):
    """The story's files in the video store; each opens as a path that is good within the `with` block."""

    def video(self) -> AbstractContextManager[Path]:
        """The MP4 file."""

    def poster(self) -> AbstractContextManager[Path] | None:
        """The JPEG poster, None where none could be made."""

    def captions(self) -> str | None:
        """The WebVTT text, None where the storyboard has no narration."""


@dataclass(frozen=True)
class Publication:
    """One story for one destination.

    `key` names (story, destination) towards the place: equal for every attempt and revision.
    `message_id` names this message: equal for every attempt, another one for each wanted repeat.
    `reference` is what earlier attempts and revisions saved; `save` keeps more of it, durably, at once:
    call it between the parts of a publication, so that a crash goes on from there.
    `check` raises when this attempt must stop (lease lost, worker ending): call it before a costly part.
    `elsewhere` tells where the story can be seen already: destination → URL, of those that came before.
    `unbroken` is for what can't be looked up afterwards: `with publication.unbroken():` around the call that takes
    effect and the `save` that remembers it. What has to stop the attempt then waits for the end of the block, and
    `check` and transfers let it go on. Keep it short, with a timeout of its own: a worker that is to end leaves
    5 s after its grace, block or not, and then the next attempt can't know what the place did.
    `sent` is told how many bytes of how many have been uploaded, as often as you like; what goes through
    `tools.http` is told of already.
    """

    story: StoryFacts
    video: Video
    links: Links
    files: StoryFiles
    route: str
    destination: str
    key: str
    message_id: str
    repeat: int
    published_at: datetime
    reference: Reference
    save: Callable[[Reference], None]
    check: Callable[[], None]
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    unbroken: Callable[[], AbstractContextManager[None]] = nullcontext
    sent: Callable[[int, int], None] = _not_told


@dataclass(frozen=True)
class Withdrawal:
    """One story that is to disappear from one destination. Fields as in `Publication`.

    `reference` is what its publication saved; it may be empty where the attempt died before it could save: then
    the connector looks by `key`. What is gone already counts as withdrawn.
    """

    story: StoryFacts
    destination: str
    key: str
    message_id: str
    at: datetime
    reference: Reference
    save: Callable[[Reference], None]
    check: Callable[[], None]


@dataclass(frozen=True)
class PreviewPart:
    """One thing that would be sent or made. `name` is a file's name, whose ending says what the text is."""

    name: str
    text: str


@dataclass(frozen=True)
class Notice:
    """Something a person must know. `text` is plain text and may quote untrusted text.

    `kind` is one of `service.domain.notices.KINDS`; `id` is equal for every attempt to say it.
    """

    id: str
    kind: str
    title: str
    text: str
    at: datetime
    story_id: str | None = None


@dataclass(frozen=True)
class Published:
    """What came of it: where it can be seen, a remark for people, and what to remember of the place."""

    url: str | None = None
    remark: str = ""
    reference: Reference = field(default_factory=dict)
