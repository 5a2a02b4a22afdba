"""The kinds of values in requests: each says what is allowed, and refuses the rest."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, StrictBool, StrictInt
from pydantic_core import PydanticCustomError

from service.story_api import vocabulary as words
from service.story_api.refusals import Part
from service.story_api.texts import storable

_ADDRESS = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)
AN_ADDRESS = "an http:// or https:// address"
A_STORY_ID = f"a story's id, 1 to {words.LONGEST_ID} characters, no control characters"


def one_of(vocabulary: Any) -> str:
    """Lists the values of a Literal for people."""
    return f"one of {', '.join(get_args(vocabulary))}"


def one(default: str, vocabulary: Any) -> Any:
    """A field that takes one value of a Literal."""
    return Field(default, description=one_of(vocabulary))


def is_address(text: str) -> bool:
    """Whether it is an http(s) address with a host and without blanks."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    named = any(character.isalnum() for character in parts.hostname or "")
    return named and parts.scheme in ("http", "https") and _ADDRESS.fullmatch(text) is not None


def has_address(text: str) -> bool:
    """Whether an http(s) address stands anywhere in it."""
    return any(is_address(found) for found in _ADDRESS.findall(text))


def is_story_id(text: str) -> bool:
    """Whether it can be put into a path as a story's id.

    '.' and '..' would be taken for folders; U+FFFD stands where something else was.
    """
    usable = text.isprintable() and "\ufffd" not in text
    return usable and len(text) <= words.LONGEST_ID and text.strip(". ") != ""


def _address(text: str) -> str:
    if not is_address(text):
        raise ValueError(f"allowed: {AN_ADDRESS}")
    return text


def _address_or_empty(text: str) -> str:
    return _address(text) if text else text


def _sane(text: str) -> str:
    if storable(text) != text:
        raise ValueError("allowed: a text without NUL characters and halves of surrogate pairs")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("allowed: a text that is not blank")
    return text


def _with_address(text: str) -> str:
    if not has_address(text):
        raise ValueError(f"allowed: {AN_ADDRESS}, or a text with one in it")
    return text


def _story_id(text: str) -> str:
    if not is_story_id(text):
        raise ValueError(f"allowed: {A_STORY_ID}")
    return text


def _sendable(storyboard: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        json.dumps(storyboard, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise ValueError("allowed: an object of plain JSON, without NaN and infinite numbers") from error
    return storyboard


def _with_all_lists(storyboard: dict[str, JsonValue]) -> dict[str, JsonValue]:
    names = ("characters", "environments", "objects", "scenes")
    lacking = [name for name in names if not isinstance(storyboard.get(name), list)]
    if lacking:
        raise ValueError(
            f"allowed: an object with the lists {', '.join(names)}; no list {', '.join(lacking)}"
        )
    return storyboard


def _from_text(given: Any) -> Any:
    """The automatic calls also take `audio_option` as a text; what it holds is checked like the object."""
    if not isinstance(given, str):
        return given
    if not given.strip():
        return None
    try:
        option = json.loads(given)
    except (ValueError, RecursionError):
        option = None
    if not isinstance(option, dict):
        raise PydanticCustomError("audio_text", "a text has to hold an object as JSON")
    return option


class AudioOption(Part):
    """What is heard. `native_audio` (effects and lip sync) switches narration off and doubles the price."""

    narrator: words.Narrator = Field("AutoV", description=one_of(words.Narrator))
    has_narration: StrictBool = Field(True, description="true or false")
    has_bg_music: StrictBool = Field(True, description="true or false")
    native_audio: StrictBool = Field(False, description="true or false")

    @property
    def narrated(self) -> bool:
        """Whether a voice is heard: `has_narration` is ignored under `native_audio`."""
        return self.has_narration and not self.native_audio


class Element(Part):
    """A character, environment or object that the storyboard has to use."""

    name: str = Field(description="a text")
    description: str = Field(description="a text")
    image_url: Annotated[str, AfterValidator(_address_or_empty)] | None = Field(
        "", description=f"{AN_ADDRESS}, an empty text, or null"
    )


_Elements = Annotated[
    tuple[Element, ...],
    Field(description="a list of objects with name, description and, if wanted, image_url"),
]


class Elements(Part):
    """What the storyboard has to use, by kind."""

    REFUSED_FIELDS: ClassVar[Mapping[str, str]] = {"scenes": "scenes are made from the idea; leave it out"}

    characters: _Elements = ()
    environments: _Elements = ()
    objects: _Elements = ()


Idea = Annotated[
    str, AfterValidator(_sane), AfterValidator(_not_blank), Field(description="a text that is not blank")
]
IdeaWithAddress = Annotated[
    str,
    AfterValidator(_sane),
    AfterValidator(_with_address),
    Field(description=f"{AN_ADDRESS}, or a text with one in it"),
]
Text = Annotated[str, AfterValidator(_sane), Field(description="a text")]
Flag = Annotated[StrictBool, Field(description="true or false")]
SceneCount = Annotated[
    StrictInt, Field(ge=1, le=words.MOST_SCENES, description="a whole number, 1 or more (up to a million)")
]
SceneSeconds = Annotated[StrictInt, Field(ge=1, le=20, description="whole seconds, 1 to 20")]
MotionSeconds = Annotated[StrictInt, Field(ge=1, le=10, description="whole seconds, 1 to 10")]
Loop = Annotated[StrictInt, Field(ge=1, le=6, description="a whole number, 1 to 6")]
Ratio = Annotated[words.AspectRatio, Field(description=one_of(words.AspectRatio))]
AnyRatio = Annotated[str | None, Field(description="a text such as 16:9, or null")]
RatioOrNull = Annotated[words.AspectRatio | None, Field(description=f"{one_of(words.AspectRatio)}, or null")]
Tongue = Annotated[words.Language, Field(description=one_of(words.Language))]
Audio = Annotated[
    AudioOption | None,
    Field(description="an object with narrator, has_narration, has_bg_music, native_audio, or null"),
]
AutoAudio = Annotated[
    AudioOption | None,
    BeforeValidator(_from_text),
    Field(
        description="an object with narrator, has_narration, has_bg_music, native_audio, its JSON as a text, or null"
    ),
]
ElementsOrNull = Annotated[
    Elements | None, Field(description="an object with characters, environments, objects, or null")
]
Storyboard = Annotated[
    Annotated[dict[str, JsonValue], AfterValidator(_sendable)] | None,
    Field(description="an object, or null"),
]
WholeStoryboard = Annotated[
    Annotated[dict[str, JsonValue], AfterValidator(_sendable), AfterValidator(_with_all_lists)] | None,
    Field(description="an object with the lists characters, environments, objects, scenes, or null"),
]
Addresses = Annotated[
    tuple[Annotated[str, AfterValidator(_address)], ...],
    Field(description=f"a list of texts, each {AN_ADDRESS}"),
]
SomeAddresses = Annotated[
    tuple[Annotated[str, AfterValidator(_address)], ...],
    Field(min_length=1, description=f"a list of at least one text, each {AN_ADDRESS}"),
]
StoryId = Annotated[str, AfterValidator(_story_id), Field(description=A_STORY_ID)]
StoryIdOrNull = Annotated[StoryId | None, Field(description=f"{A_STORY_ID}, or null")]
