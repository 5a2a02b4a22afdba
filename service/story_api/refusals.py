"""Why a request is not sent: every wrong field at once, with what is allowed there."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from service.story_api.texts import line

SHOWN = 80
"""Characters shown of a value that was refused."""
MOST_PROBLEMS = 20


class Part(BaseModel):
    """Any object in a request: immutable, and closed to names that the reference doesn't have.

    Each field's description says what is allowed there; `REFUSED_FIELDS` says why a name is refused
    that people may well try.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    REFUSED_FIELDS: ClassVar[Mapping[str, str]] = {}


_Place = tuple[type[Part] | None, FieldInfo | None]


@dataclass(frozen=True)
class Problem:
    """One wrong field: its name with dots, what was given (cut; '' where nothing was), what is allowed."""

    field: str
    given: str
    allowed: str

    def __str__(self) -> str:
        given = f"{self.given} is refused" if self.given else "is missing"
        return f"{self.field}: {given}; {self.allowed}"


class InvalidRequest(Exception):
    """A request that the Story API's reference rules out. Nothing was sent.

    `problems` has one entry a field; the message lists them, a line each.
    """

    def __init__(self, call: str, problems: Sequence[Problem]) -> None:
        self.call = call
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{call}: not sent, because of", *(f"  {each}" for each in problems)]))


def invalid_request(model: type[Part], error: ValidationError, call: str) -> InvalidRequest:
    """Tells pydantic's refusal of `model` in the words of the Story API's reference."""
    found = error.errors(include_url=False)
    return InvalidRequest(call, [_problem(model, each) for each in found[:MOST_PROBLEMS]])


def single_problem(call: str, field: str, given: Any, allowed: str) -> InvalidRequest:
    """The refusal of one field."""
    return InvalidRequest(call, [Problem(field, shown(given), allowed)])


def shown(value: Any) -> str:
    """What was given, as one short line of JSON-like text; secrets in addresses are left out."""
    if isinstance(value, dict):
        return f"an object with {line(', '.join(map(str, list(value)[:10])), SHOWN)}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "[]"
    if isinstance(value, str):
        return f'"{line(value, SHOWN)}"'
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > SHOWN:
        return "a very large number"
    return line(json.dumps(value, default=repr), SHOWN)


def nearest(given: Any, names: Sequence[str]) -> str:
    """A hint at the likeliest of `names`, or ''; numbers such as 16:9 are no nearer for looking alike."""
    if not isinstance(given, str) or not any(map(str.isalpha, given)):
        return ""
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(given[:SHOWN].lower(), by_lower, n=1)
    return f"did you mean {by_lower[close[0]]}? " if close else ""


def _problem(model: type[Part], error: ErrorDetails) -> Problem:
    name = ".".join(line(str(part), SHOWN) for part in error["loc"]) or '""'
    if error["type"] == "extra_forbidden":
        return Problem(name, shown(error["input"]), _known_fields(model, error["loc"]))
    given = "" if error["type"] == "missing" else shown(error["input"])
    return Problem(
        name, given, nearest(error["input"], _choices(model, error["loc"])) + _allowed(model, error)
    )


def _known_fields(model: type[Part], loc: Sequence[int | str]) -> str:
    owner = _place(model, loc[:-1])[0] or model
    fields = sorted(owner.model_fields)
    advice = owner.REFUSED_FIELDS.get(str(loc[-1]))
    return advice or f"there is no such field: {nearest(loc[-1], fields)}there are {', '.join(fields)}"


def _allowed(model: type[Part], error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    _, field = _place(model, error["loc"])
    return f"allowed: {field.description}" if field and field.description else error["msg"].lower()


def _choices(model: type[Part], loc: Sequence[int | str]) -> list[str]:
    _, field = _place(model, loc)
    return [] if field is None else [name for name in _leaves(field.annotation) if isinstance(name, str)]


def _place(model: type[Part], loc: Sequence[int | str]) -> _Place:
    """Follows the place of an error to the model that it leads into and the last field on the way."""
    owner: type[Part] | None = model
    field: FieldInfo | None = None
    for part in loc:
        if isinstance(part, int) or owner is None or part not in owner.model_fields:
            continue
        field = owner.model_fields[part]
        owner = next((leaf for leaf in _leaves(field.annotation) if _is_part(leaf)), None)
    return owner, field


def _leaves(annotation: Any) -> Iterator[Any]:
    inner = get_args(annotation)
    if not inner:
        yield annotation
    for each in inner:
        yield from _leaves(each)


def _is_part(leaf: Any) -> bool:
    return isinstance(leaf, type) and issubclass(leaf, Part)
