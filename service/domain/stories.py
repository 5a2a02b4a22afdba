"""Facts about a story that need no ledger and no network."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

FINISHED_CLAIMS = frozenset({"success", "fail"})
"""Statuses by which a webhook says that nothing more will change (Story API, V1 webhook)."""

_LABEL = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,39})=(.{1,200})", re.DOTALL)


def video_identity(url: str) -> str:
    """What tells one video of a story from another: its address without query and fragment.

    The query of a signed address changes at each fetch while the video stays the same.
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def expected_seconds(request: Mapping[str, Any]) -> int:
    """Length in seconds of the video that a submission asks for (scenes × seconds a scene)."""
    images = request.get("image_urls")
    scenes = len(images) if isinstance(images, list) else int(request.get("scene_count") or 3)
    return scenes * int(request.get("scene_duration") or 5)


def text(value: Any, longest: int) -> str:
    """An untrusted value as one line of printable text of at most `longest` characters; '' for what is no text."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    line = " ".join(str(value).split())
    clean = line if line.isprintable() else "".join(char for char in line if char.isprintable())
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def read_label(written: str) -> tuple[str, str]:
    """A label's name and value, written NAME=VALUE. Raises ValueError, which says how one is written."""
    parts = _LABEL.fullmatch(written.strip())
    if parts is None or not parts[2].isprintable():
        raise ValueError(f"{text(written, 60)!r}: write NAME=VALUE, such as team=brand")
    return parts[1], parts[2]
