"""The names of stored objects: relative paths such as `videos/4f2a/video.mp4`."""

import hashlib
import re
import unicodedata

INCOMING = ".incoming"
"""A store's folder for what isn't whole yet; no key may lead into it."""

_KEY_BYTES = 1024  # Amazon S3's limit
_SEGMENT_BYTES = 255  # of most file systems
_AS_IT_IS = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_MARKED = re.compile(r".*-x[0-9a-f]{32}", re.DOTALL)
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


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


def safe_segment(text: str) -> str:
    """Turn any text into one path segment of lower-case ASCII, at most 80 characters, another for each other text.

    Usual ids stay as they are. What can't (upper case, as some file systems don't tell it apart; other
    characters; device names of Windows; length) is replaced, and marked with 128 bits of the text's SHA-256.
    No text that stays as it is looks marked.
    """
    plain = _AS_IT_IS.fullmatch(text) and not _MARKED.fullmatch(text) and not _DEVICES.fullmatch(text)
    if plain and not text.endswith("."):
        return text
    readable = re.sub(r"[^a-z0-9]+", "-", text[:200].lower()).strip("-")[:40].strip("-")
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{readable or 'id'}-x{digest}"
