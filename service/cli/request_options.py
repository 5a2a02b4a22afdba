"""What `submit` and `estimate` take: one option for each field of the Story API's requests, made from the models."""

import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import annotated_types
import click
from pydantic.fields import FieldInfo

from service.cli.choice import Word
from service.cli.json_input import JsonText, file_shown, read_json
from service.story_api import KINDS, AnyVideoRequest, AudioOption, InvalidRequest, request_from_json

Function = TypeVar("Function", bound=Callable[..., Any])

POSITIONAL = ("image_urls",)
NESTED = "audio_option"

_ADVICE = '; an idea is written: idea "A day at sea"'

_MEANINGS: Mapping[str, str] = {
    "title": "The story's title.",
    "idea": "With images: what the video should tell.",
    "scene_count": "Number of scenes.",
    "scene_duration": "Seconds a scene.",
    "image_tool": "What draws the images.",
    "video_tool": "What makes the videos.",
    "aspect_ratio": "Width to height.",
    "is_transition": "Blend one scene into the next.",
    "language": "Language of the narration.",
    "elements": "Characters, environments and objects to use: JSON, or @FILE.",
    "audio_option": "What is heard, as JSON or @FILE, instead of the options for it.",
    "narrator": "Voice of the narration.",
    "has_narration": "Have the story told.",
    "has_bg_music": "Have music.",
    "native_audio": "Sound made with the scenes; no narration, twice the price.",
}
"""In people's words; a field that is not here shows what its model says of it."""


def request_arguments(function: Function) -> Function:
    """Adds KIND, TEXT and all options to a command; `read_request` makes a request of what they bring."""
    for option in reversed(list(_options())):
        function = option(function)
    for argument in (
        click.option("--kind", "of_kind", type=Word(list(KINDS)), help="What the file's request is."),
        click.option("--file", "file", metavar="FILE", help="A request as JSON; '-' reads standard input."),
        click.argument("text", nargs=-1, metavar="[TEXT | URL ...]"),
        click.argument("kind", required=False, type=Word(list(KINDS), _ADVICE), metavar="[idea|url|images]"),
    ):
        function = argument(function)
    return function


def read_request(
    kind: str | None, text: tuple[str, ...], file: str | None, of_kind: str | None, options: Mapping[str, Any]
) -> AnyVideoRequest:
    """The request that was typed: a file's fields first, options over them. Raises UsageError, InvalidRequest."""
    try:
        return _request(kind, text, file, of_kind, options)
    except InvalidRequest as error:
        if file is None:
            raise
        raise InvalidRequest(f"{file_shown(file)} as {error.call}", error.problems) from error


def _request(
    kind: str | None, text: tuple[str, ...], file: str | None, of_kind: str | None, options: Mapping[str, Any]
) -> AnyVideoRequest:
    fields: Any = {} if file is None else read_json(file, "--file")
    if not isinstance(fields, dict):
        return request_from_json(kind or of_kind or "idea", fields)
    meant = _kind_of(kind, of_kind, fields, file)
    if text and meant != "images" and options.get("idea") is not None:
        raise click.UsageError(f"the text after {meant} and --idea are the same field: give one of them")
    fields.pop("kind", None)
    typed = _typed(meant, text, has_file=file is not None)
    return request_from_json(meant, fields | typed | _given(fields, options))


def _options() -> Iterator[Callable[[Any], Any]]:
    for name, field in _fields().items():
        if name not in POSITIONAL:
            yield _option(name, field, _only_for(name))
        if name == NESTED:
            for inner, part in AudioOption.model_fields.items():
                yield _option(inner, part, "")


def _fields() -> dict[str, FieldInfo]:
    found: dict[str, FieldInfo] = {}
    for model in KINDS.values():
        found |= {name: field for name, field in model.model_fields.items() if name not in found}
    return found


def _only_for(name: str) -> str:
    kinds = [kind for kind, model in KINDS.items() if name in model.model_fields]
    return "" if len(kinds) == len(KINDS) else f" Only {' and '.join(kinds)}."


def _option(name: str, field: FieldInfo, remark: str) -> Callable[[Any], Any]:
    meaning = _MEANINGS.get(name) or (field.description or "").capitalize()
    default = f"  [default: {_shown(field.default)}]" if _shown(field.default) else ""
    words = name.removeprefix("is_").removeprefix("has_").replace("_", "-")
    named = f"--{words}/--no-{words}" if _plain_type(field) is bool else f"--{words}"
    return click.option(
        named, name, type=_click_type(field), default=None, help=f"{meaning}{remark}{default}"
    )


def _click_type(field: FieldInfo) -> Any:
    kind = _plain_type(field)
    if get_origin(kind) is Literal:
        return Word(get_args(kind))
    if kind is int:
        bounds = {type(each): each for each in field.metadata}
        least, most = bounds.get(annotated_types.Ge), bounds.get(annotated_types.Le)
        return click.IntRange(getattr(least, "ge", None), getattr(most, "le", None))
    return {bool: click.BOOL, str: click.STRING}.get(kind, JsonText())


def _plain_type(field: FieldInfo) -> Any:
    kind = field.annotation
    if get_origin(kind) in (Union, types.UnionType):
        return next(each for each in get_args(kind) if each is not type(None))
    return kind


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return (
        str(default) if isinstance(default, int) or (isinstance(default, str) and len(default) < 40) else ""
    )


def _kind_of(kind: str | None, of_kind: str | None, fields: Mapping[str, Any], file: str | None) -> str:
    said = dict.fromkeys(str(each) for each in (kind, of_kind, fields.get("kind")) if each is not None)
    if len(said) > 1:
        raise click.UsageError(f"{' and '.join(said)} contradict each other: say one kind")
    if said:
        return next(iter(said))
    if "image_urls" in fields:
        return "images"
    if file is not None:
        raise click.UsageError(
            f'{file_shown(file)} does not say what it asks for: add --kind idea, url or images, or a field "kind" in it'
        )
    name = click.get_current_context().info_name
    raise click.UsageError(
        f'say what the video is about: storyrelay {name} idea "A day at sea" (or url ADDRESS, images ADDRESS …), '
        "or --file FILE"
    )


def _typed(kind: str, text: tuple[str, ...], *, has_file: bool) -> dict[str, Any]:
    if not text:
        return {} if has_file else {"image_urls": []} if kind == "images" else {"idea": ""}
    return {"image_urls": list(text)} if kind == "images" else {"idea": " ".join(text)}


def _given(fields: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in options.items() if value is not None}
    audio = {name: given.pop(name) for name in AudioOption.model_fields if name in given}
    if not audio:
        return given
    whole = given.get(NESTED, fields.get(NESTED)) or {}
    if not isinstance(whole, dict):
        raise click.UsageError(f"{NESTED} is no object, so that nothing can be added to it by options")
    return given | {NESTED: whole | audio}
