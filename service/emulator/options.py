"""How an emulator behaves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


def _silent(_line: str) -> None:
    """Logs nothing."""


@dataclass(frozen=True)
class EmulatorOptions:
    """Everything that can be set; times are in seconds."""

    keys: tuple[str, ...] = field(default=("emulator-key",), repr=False)
    credits: int | None = None
    """What each key may spend; None: without end."""
    calls_per_minute: int | None = None
    """Of the API, for each key; None: without limit."""
    concurrency: int | None = None
    """How many stories of a key may be in the making at once; None: without limit."""
    story_seconds: float = 8.0
    """From the submission to the finished video (longer where drawing takes longer)."""
    seed: int | None = None
    """Makes ids and chances repeat."""
    faults: Mapping[str, float] = field(default_factory=dict)
    """The chance (0 to 1) of each fault, e.g. {"webhook-never": 0.3, "webhook-late:3": 0.2}."""
    short_side: int = 360
    """Of the video, in pixels."""
    video_bytes: int | None = None
    """Every video is padded to this size where it is smaller."""
    max_seconds: int = 600
    """The longest video; the API names no bound, and this machine has one."""
    url_seconds: float = 3600.0
    """How long a signed video URL works."""
    webhook_timeout: float = 10.0
    webhook_pauses: tuple[float, ...] = (5.0, 30.0, 120.0)
    """Before each repeat of a webhook that was not answered 2xx."""
    hold_seconds: float = 120.0
    """How long the fault submit-timeout holds a connection."""
    films: Path | None = None
    """A folder that keeps drawn videos; None: a temporary one."""
    log: Callable[[str], None] = field(default=_silent, repr=False)
    """Gets one line for each request and each webhook."""
