"""The bodies of the ten calls, with every default, enum and bound of the V2 page.

Types are strict (a number in quotes is no number); fields that the page does not name are ignored, since its
own samples send some.
"""

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from service.emulator.refusals import InvalidBody, invalid_body
from service.emulator.vocabulary import (
    AspectRatio,
    ImageTool,
    Language,
    StepImageTool,
    StepVideoTool,
    VideoTool,
    Voice,
)

IMAGES_IDEA = "Create a stunning video showcasing these images with a compelling narrative"


class Body(BaseModel):
    """What all bodies have in common."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class AudioOption(Body):
    """The sound of a story."""

    narrator: Voice = "AutoV"
    has_narration: bool = True
    has_bg_music: bool = True
    native_audio: bool = False

    @property
    def narrated(self) -> bool:
        """Whether a voice speaks: native audio switches narration off."""
        return self.has_narration and not self.native_audio

    @property
    def silent(self) -> bool:
        """Whether nothing is to be heard."""
        return not (self.narrated or self.has_bg_music or self.native_audio)


def _object_in_a_string(value: Any) -> Any:
    """Reads the string form of `audio_option`, which the page allows and does not explain, as JSON."""
    if not isinstance(value, str):
        return value
    return json.loads(value) if value.strip() else None


AudioOrText = Annotated[AudioOption | None, BeforeValidator(_object_in_a_string)]


class Element(Body):
    """A character, an environment or an object."""

    model_config = ConfigDict(extra="allow")

    name: str
    description: str
    image_url: str | None = None


class Elements(Body):
    """What the caller already has in mind; scenes are refused."""

    model_config = ConfigDict(extra="forbid")

    characters: tuple[Element, ...] = ()
    environments: tuple[Element, ...] = ()
    objects: tuple[Element, ...] = ()


class Scene(Body):
    """One scene of a storyboard; `narrator` is the spoken text."""

    model_config = ConfigDict(extra="allow")

    name: str = ""
    narrator: str = ""
    narration_url: str | None = None
    image_description: str = ""
    image_url: str | None = None
    video_description: str = ""


class Music(Body):
    """The background music of a storyboard."""

    model_config = ConfigDict(extra="allow")

    music_url: str | None = None
    description: str = ""


class Storyboard(Body):
    """What a story is made from; also part of the answers."""

    model_config = ConfigDict(extra="allow")

    characters: tuple[Element, ...] = ()
    environments: tuple[Element, ...] = ()
    objects: tuple[Element, ...] = ()
    scenes: tuple[Scene, ...] = ()
    music: Music | None = None


class WholeStoryboard(Storyboard):
    """A storyboard for /elements, where none of the four lists may be missing."""

    characters: tuple[Element, ...] = Field()
    environments: tuple[Element, ...] = Field()
    objects: tuple[Element, ...] = Field()
    scenes: tuple[Scene, ...] = Field()


class Automatic(Body):
    """What the three automatic calls share."""

    video_tool: VideoTool = "Auto"
    scene_duration: int = Field(default=5, ge=1, le=20)
    aspect_ratio: AspectRatio = "16:9"
    is_transition: bool = False
    audio_option: AudioOrText = None
    language: Language = "English"
    title: str = ""
    webhook_url: str = ""


class IdeaToVideo(Automatic):
    """POST /v2/story/idea-2-video."""

    idea: str
    scene_count: int = Field(default=3, ge=1)
    image_tool: ImageTool = "AutoI"
    elements: Elements | None = None


class UrlToVideo(IdeaToVideo):
    """POST /v2/story/url-2-video; `idea` is a page's URL, or prose with the URL in it."""


class ImagesToVideo(Automatic):
    """POST /v2/story/images-2-video; one scene an image."""

    idea: str = IMAGES_IDEA
    image_urls: tuple[str, ...] = Field(min_length=1)


class CreateStoryboard(Body):
    """POST /v2/story; `scene_count` is ignored where `image_urls` are given, `title` is in the sample only."""

    idea: str
    story_id: str | None = None
    scene_count: int = Field(default=3, ge=1)
    language: str = "English"
    aspect_ratio: AspectRatio | None = None
    audio_option: AudioOption | None = None
    elements: Elements | None = None
    image_urls: tuple[str, ...] = ()
    title: str = ""


class CreateElements(Body):
    """POST /v2/story/{story_id}/elements."""

    image_tool: StepImageTool = "AutoI"
    aspect_ratio: AspectRatio | None = None
    storyboard: WholeStoryboard | None = None


class CreateScenes(Body):
    """POST /v2/story/{story_id}/scenes."""

    image_tool: StepImageTool = "Seedream"
    aspect_ratio: AspectRatio | None = None
    storyboard: Storyboard | None = None
    audio_option: AudioOption | None = None


class CreateVideos(Body):
    """POST /v2/story/{story_id}/videos."""

    title: str = ""
    storyboard: Storyboard | None = None
    is_transition: bool = False
    video_tool: StepVideoTool = "Auto"
    duration: int = Field(default=5, ge=1, le=10)
    loop: int = Field(default=1, ge=1, le=6)
    webhook_url: str | None = None


class Concat(Body):
    """POST /v2/story/{story_id}/concat; the fields are V1's."""

    concat_video_urls: tuple[str, ...] | None = None
    audio_urls: tuple[str, ...] | None = None


Read = TypeVar("Read", bound=Body)


def read_body(model: type[Read], content_type: str, body: bytes) -> Read:
    """Reads a call's JSON body; raises InvalidBody."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        message = "Send the body as JSON, with Content-Type: application/json"
        raise InvalidBody([{"loc": ["body"], "msg": message, "type": "content_type"}])
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise invalid_body(error) from None
