"""What the body of a webhook claims."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.domain.stories import text

LONGEST_ID = 200
_ID_NAMES = ("batch_id", "story_id", "id")


@dataclass(frozen=True)
class Hint:
    """What a webhook claims: a story's id and a status, both unverified, either may be missing."""

    story_id: str | None
    status: str | None


class Malformed(ValueError):
    """The body is no JSON object."""


def read_hint(body: bytes) -> Hint:
    """Reads the claims from a body: flat, under `data`, or a whole story object, whatever its media type.

    The V1 webhook of the Story API names the story `batch_id`; other versions may say `story_id` or `id`.
    Raises Malformed.
    """
    try:
        parsed = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is not JSON") from error
    if not isinstance(parsed, dict):
        raise Malformed("the body is not a JSON object")
    inner = parsed.get("data")
    places = [place for place in (parsed, inner) if isinstance(place, dict)]
    return Hint(_first_text(places, _ID_NAMES), _first_text(places, ("status",)))


def _first_text(places: Sequence[Mapping[str, Any]], names: tuple[str, ...]) -> str | None:
    for place in places:
        for name in names:
            found = text(place.get(name), LONGEST_ID + 1)
            if 0 < len(found) <= LONGEST_ID:  # a cut id would name another story
                return found
    return None
