"""How the files of a story's videos are named in a store."""

import hashlib
import re

_AS_IT_IS = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_MARKED = re.compile(r".*-x[0-9a-f]{32}", re.DOTALL)
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


def video_prefix(story_id: str, revision: int) -> str:
    """Where the files of a story's revision are put, unless what lay there before is being deleted."""
    return f"{safe_segment(story_id)}/r{revision}"


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
