"""Text of others, made fit for a line that people read, and for a database."""

import math
from collections.abc import Iterable
from typing import Any

from service.domain.stories import text as printable
from service.redaction import redact

DEEPEST = 100
"""Levels of JSON that are kept; a storyboard needs about six."""

_SCAN = 20
_SHORTEST_SECRET = 4


class TooDeep(ValueError):
    """A JSON value nests deeper than `DEEPEST`."""


def line(text: str, limit: int = 300, secrets: Iterable[str] = ()) -> str:
    """Makes one line of at most `limit` characters of it, without control characters and `secrets`.

    Addresses lose their passwords, queries and our tokens: a signed one is a key to whatever it names.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "…") if len(secret) >= _SHORTEST_SECRET else text
    longest = limit * _SCAN
    return cut(redact(printable(text[:longest], longest)), limit)


def cut(text: str, limit: int) -> str:
    """Shortens it to `limit` characters and shows that it did."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def storable(text: str) -> str:
    """Replaces what no database keeps in a text: NUL and lone surrogates."""
    kept = text.replace("\x00", "\ufffd")
    return kept.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def storable_json(value: Any, depth: int = 0) -> Any:
    """Copies a JSON value with every text storable and each number that is not finite as None.

    Raises TooDeep.
    """
    if depth > DEEPEST:
        raise TooDeep(f"JSON nests deeper than {DEEPEST} levels")
    if isinstance(value, dict):
        return {storable(str(key)): storable_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable_json(item, depth + 1) for item in value]
    if isinstance(value, str):
        return storable(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
