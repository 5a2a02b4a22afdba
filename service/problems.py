"""Says what is wrong with what people configured, in their words and without their secrets."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from service.redaction import redact

_LONGEST_VALUE = 80
_IN_SHORT = {
    "missing": "is missing",
    "string_type": "should be a text",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "dict_type": "should be a table",
    "model_type": "should be a table",
}
_CHOICE = re.compile(r"'([^']*)'")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where (`destinations.team.channel`, `PORT`) and what. `at` may be ''."""

    at: str
    text: str

    def __str__(self) -> str:
        text = f"{self.at}: {self.text}" if self.at else self.text
        return "".join(char if char.isprintable() else "?" for char in text)


def hint(name: str, names: Iterable[str]) -> str:
    """Returns ` (did you mean 'x'?)` for the nearest of the names, '' where none is near."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def unknown_name(name: str, names: Iterable[str]) -> str:
    """The text for a name that does not exist, with the nearest right one and all there are."""
    known = sorted(names)
    return f"there is no such name{hint(name, known)}; there are {', '.join(known) or 'none'}"


def problems_of(
    error: ValidationError,
    model: type[BaseModel],
    prefix: str = "",
    *,
    also: Iterable[str] = (),
    hides: Callable[[Any], bool] = lambda _value: False,
) -> Iterator[Problem]:
    """Yields what pydantic found while it made a `model`.

    `prefix` is put before each path; `also` are names that may stand beside the model's.
    A value is quoted only when it is plain, not a secret's and not one that `hides` names, and then it is cut.
    """
    for detail in error.errors(include_url=False):
        if detail["type"] == "default_factory_not_called":
            continue  # follows from another problem
        text = _text(detail, _names(model) | set(also))
        if not hides(detail["input"]) and _may_be_quoted(detail, model):
            text += _quoted(detail)
        yield Problem(_path(prefix, detail["loc"]), text)


def _path(prefix: str, loc: tuple[int | str, ...]) -> str:
    path = prefix
    for part in loc:
        path += f" (item {part + 1})" if isinstance(part, int) else f".{part}" if path else part
    return path


def _text(detail: ErrorDetails, names: Iterable[str]) -> str:
    kind, loc = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        return unknown_name(str(loc[-1]), names) if len(loc) == 1 else "there is no such name"
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return _IN_SHORT.get(kind, redact(message))


def _quoted(detail: ErrorDetails) -> str:
    shown = redact(str(detail["input"]))
    cut = shown if len(shown) <= _LONGEST_VALUE else shown[:_LONGEST_VALUE] + "…"
    choices = _CHOICE.findall(detail["msg"]) if detail["type"] == "literal_error" else []
    return f", not {cut!r}{hint(shown, choices)}"


def _may_be_quoted(detail: ErrorDetails, model: type[BaseModel]) -> bool:
    loc = detail["loc"]
    field = _fields(model).get(str(loc[0])) if loc else None
    nested = any(isinstance(part, str) for part in loc[1:])
    plain = isinstance(detail["input"], str | int | float | bool)
    return plain and not nested and field is not None and not is_secret(field)


def is_secret(field: FieldInfo) -> bool:
    """Says whether the field's value must never be shown: a `SecretStr` somewhere in it, or `repr=False`."""
    return not field.repr or "Secret" in repr(field.annotation)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The model's fields by the names that people write."""
    by_alias = {str(field.validation_alias or name): field for name, field in model.model_fields.items()}
    return model.model_fields | by_alias


def _names(model: type[BaseModel]) -> set[str]:
    return {str(field.validation_alias or name) for name, field in model.model_fields.items()}
