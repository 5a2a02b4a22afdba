"""The names of stored objects: relative paths such as `videos/4f2a/video.mp4`."""

import unicodedata

from service.domain.video_names import safe_segment

__all__ = ["INCOMING", "check_key", "safe_segment"]

INCOMING = ".incoming"
"""A store's folder for what isn't whole yet; no key may lead into it."""

_KEY_BYTES = 1024  # Amazon S3's limit
_SEGMENT_BYTES = 255  # of most file systems


def check_key(key: str) -> str:
    """Return the key if it names an object inside the store and nothing else; raises ValueError."""
    segments = key.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        raise ValueError(f"not a relative path with plain names: {key[:80]!r}")
    if "\\" in key or any(unicodedata.category(character).startswith("C") for character in key):
        raise ValueError(f"a backslash or a control character in {key[:80]!r}")
    if len(key.encode()) > _KEY_BYTES or any(len(segment.encode()) > _SEGMENT_BYTES for segment in segments):
        raise ValueError(f"too long for a store: {key[:80]!r}…")
    if segments[0].casefold() == INCOMING:
        raise ValueError(f"{INCOMING} holds what isn't whole yet: {key[:80]!r}")
    return key
