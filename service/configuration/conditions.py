"""What stands under a route's `when`: conditions on the story, and opening hours."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from service.domain.routing import STORY_FIELDS, Condition, Scalar, holds
from service.domain.spans import Span, parse_span
from service.problems import Problem, hint
from service.story_api import KINDS, StoryStatus, vocabulary

TIME_KEYS = ("hours", "days", "timezone")

_CLOSED: Mapping[str, tuple[Scalar, ...]] = {
    "aspect_ratio": get_args(vocabulary.AspectRatio),
    "language": get_args(vocabulary.Language),
    "kind": tuple(KINDS),
    "status": (StoryStatus.SUCCESS,),
    "is_transition": (True, False),
}
"""Fields of which the Story API names every value that a finished story can have, and only finished stories are routed:
a pattern that matches none would never match, silently."""

_LEAST: Mapping[str, float] = {"used_credits": 0, "duration": 0, "progress_percentage": 0}
"""Fields that hold numbers, with the least that each can be."""

_COMPARED = "a number, a comparison such as '<= 300', or a span such as '10..30'"
_KNOWN = (*STORY_FIELDS, *TIME_KEYS)


def conditions(when: Mapping[str, Any], at: str) -> Iterator[Condition | Problem]:
    """Yields the conditions on the story; nested tables become paths. What is wrong comes as a Problem."""
    for key, value in when.items():
        if key in TIME_KEYS:
            continue
        if key not in STORY_FIELDS and hint(key, _KNOWN):
            # other fields may exist, but one that is nearly a known one is a slip that would match nothing, silently
            yield Problem(f"{at}.{key}", f"there is no such field of a story{hint(key, _KNOWN)}")
        elif key == "labels" and not isinstance(value, dict):
            yield Problem(f"{at}.{key}", 'should be a table of labels, such as { team = "brand" }')
        elif key in STORY_FIELDS and key != "labels" and isinstance(value, dict):
            yield Problem(f"{at}.{key}", "has no parts: should be a text, a number, true or false, or a list")
        else:
            yield from _of_field(value, f"{at}.{key}", (key,))


def _of_field(value: Any, at: str, path: tuple[str, ...]) -> Iterator[Condition | Problem]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _of_field(inner, f"{at}.{key}", (*path, key))
    else:
        yield _condition(value, at, path)


def _condition(value: Any, at: str, path: tuple[str, ...]) -> Condition | Problem:
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(_is_comparable(item) for item in listed):
        return Problem(at, "should be a text, a number, true or false, or a list of these")
    try:
        wanted = tuple(_wanted(item, path) for item in listed)
        for item in wanted:
            _check_possible(item, path)
    except ValueError as error:
        return Problem(at, str(error))
    return Condition(path, wanted)


def _wanted(item: Scalar, path: tuple[str, ...]) -> Scalar | Span:
    """Texts such as `<= 300` are spans but where the story has a text of its own, which may look so."""
    is_text = path[0] in STORY_FIELDS and path[0] not in ("labels", *_LEAST)
    span = parse_span(item) if isinstance(item, str) and not is_text else None
    return item if span is None else span


def _check_possible(item: Scalar | Span, path: tuple[str, ...]) -> None:
    """Raises ValueError for what no story can have."""
    field = path[0]
    if field in _LEAST:
        _check_number(item, field)
    words = _CLOSED.get(field)
    if words and not any(holds(Condition(path, (item,)), {field: word}) for word in words):
        shown = [str(word).lower() if isinstance(word, bool) else str(word) for word in words]
        near = hint(str(item), shown)
        raise ValueError(f"no finished story has {str(item)[:80]!r}{near}; there are {', '.join(shown)}")


def _check_number(item: Scalar | Span, field: str) -> None:
    shown = str(item)[:80]
    span = item if isinstance(item, Span) else _only(item)
    if span is None:
        raise ValueError(f"should be {_COMPARED}, not {shown!r}")
    least = _LEAST[field]
    if span.most < least or (span.is_open and span.most == least):
        raise ValueError(f"no finished story has {shown!r}: it is never less than {least:g}")
    if field == "duration" and span.least == span.most and not span.least.is_integer():
        raise ValueError(f"no finished story has {shown!r}: it is counted in whole seconds")


def _only(item: Scalar) -> Span | None:
    try:
        number = math.nan if isinstance(item, bool) else float(item)
    except (ValueError, OverflowError):
        return None
    return Span(number, number) if math.isfinite(number) else None


def _is_comparable(value: Any) -> bool:
    return isinstance(value, Scalar) and not (isinstance(value, float) and math.isnan(value))
