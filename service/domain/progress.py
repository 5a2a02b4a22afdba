"""What people may watch of a story on its way."""

from collections.abc import Callable
from dataclasses import dataclass

from service.domain.delivery import Reference, StoryFacts

HALF = 50
"""Percent of the Story API's progress that is worth a line."""


@dataclass(frozen=True)
class Line:
    """One thing that happened; `name` is equal for every attempt to say it. `text` is plain and may be untrusted."""

    name: str
    text: str


@dataclass(frozen=True)
class Progress:
    """How one story stands, for one destination that shows it.

    `headline` says it in a sentence, `lines` what happened so far, a handful at most. `key` names (story,
    destination) as it does for the publication that follows, which takes the place of what is shown.
    `is_published`: that publication has begun, so that the headline is no longer wanted; `publication` is what it
    has saved. `reference`, `save` and `check` are as in `Publication`.
    """

    story: StoryFacts
    destination: str
    key: str
    headline: str
    lines: tuple[Line, ...]
    is_published: bool
    publication: Reference
    reference: Reference
    save: Callable[[Reference], None]
    check: Callable[[], None]
