"""Tables of templates, by which an operator says what goes into which field of an entry.

A text that is one expression and nothing else keeps its value's type, for ids, numbers and relations; every other
text is rendered as plain text. Whatever a story says is a value in it: it is never read as a template or as JSON.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import TemplateError, Undefined
from pydantic import JsonValue

from handlers.message_text import SAMPLE, BrokenTemplate, Place, Values, clean, sandbox, values_of
from service.domain.delivery import Publication, StoryFacts

_ONE_EXPRESSION = re.compile(r"\{\{-?((?:(?!\{\{|\}\}).)*?)-?\}\}", re.DOTALL)

_TEST = StoryFacts(
    id="storyrelay-test",
    title="A test by Storyrelay",
    idea="A test by Storyrelay. Nothing was published.",
    aspect_ratio="16:9",
    used_credits=0,
    created_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    revision=1,
)


@dataclass(frozen=True)
class Media:
    """What the place calls the files that were put there: ids, None where there is none, and their addresses.

    `video_url` and `poster_url` are our own signed links where the place has no such file.
    """

    video: str | int | None
    poster: str | int | None
    video_url: str
    poster_url: str | None


@dataclass(frozen=True)
class FieldTable:
    """Templates by field, known to render; lists and tables among them are gone through.

    Raises BrokenTemplate, with the field's name.
    """

    table: Mapping[str, JsonValue]

    def __post_init__(self) -> None:
        self.render({**SAMPLE, "media": Media(1, 2, "https://media.test/video", "https://media.test/poster")})

    def render(self, values: Values) -> dict[str, Any]:
        """The fields' values, ready for JSON. Raises BrokenTemplate."""
        return {name: _value(f"of field {name}", part, values) for name, part in self.table.items()}

    def render_publication(self, publication: Publication, media: Media) -> dict[str, Any]:
        """The fields of one story. Raises BrokenTemplate."""
        return self.render(values_of(publication, media=media))

    def render_test(self, media: Media) -> dict[str, Any]:
        """The fields of an entry that says of itself that it is a test. Raises BrokenTemplate."""
        return self.render({**SAMPLE, "story": _TEST, "media": media})


def _value(label: str, part: JsonValue, values: Values) -> Any:
    if isinstance(part, list):
        return [_value(label, one, values) for one in part]
    if isinstance(part, dict):
        return {name: _value(label, one, values) for name, one in part.items()}
    if not isinstance(part, str):
        return part
    try:
        return _rendered(part, values)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise BrokenTemplate(f"the template {label} fails: {error}; mend it") from error


def _rendered(text: str, values: Values) -> Any:
    expression = _ONE_EXPRESSION.fullmatch(text.strip())
    if not expression:
        return sandbox(Place.PLAIN).from_string(text).render(values)
    found = sandbox(Place.PLAIN).compile_expression(expression[1], undefined_to_none=False)(**values)
    if isinstance(found, Undefined):
        str(found)  # raises, and says what there is not
    return _plain(found)


def _plain(value: object) -> Any:
    """The value as JSON knows it, its texts cleaned."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {clean(str(name)): _plain(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return clean(str(value))
