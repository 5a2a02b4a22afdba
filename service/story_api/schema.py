"""What each call of the Story API takes, by its V2 reference: names, defaults, enums, bounds.

A field that is left out is not sent, so that the Story API's own default holds; the defaults here are the
reference's, for pricing and for people. Every refusal raises InvalidRequest.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import ValidationError, ValidationInfo, field_validator

from service.story_api import fields
from service.story_api.refusals import Part, invalid_request, nearest, single_problem
from service.story_api.vocabulary import AutoImageTool, AutoVideoTool, ImageTool, VideoTool

IMAGES_IDEA = "Create a stunning video showcasing these images with a compelling narrative"
_OURS = "Storyrelay signs an address of its own for each story; leave it out"


class Call(Part):
    """The body of one call. Constructing it raises InvalidRequest with every wrong field."""

    REFUSED_FIELDS: ClassVar[Mapping[str, str]] = {"webhook_url": _OURS}
    call: ClassVar[str]
    patience: ClassVar[int] = 1
    """By how much this call may take longer than others."""

    def __init__(self, /, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise invalid_request(type(self), error, self.call) from None

    @classmethod
    def read(cls, data: object) -> Self:
        """Reads parsed JSON. Raises InvalidRequest."""
        if not isinstance(data, dict):
            raise single_problem(cls.call, "body", data, "allowed: a JSON object")
        return cls(**{str(name): value for name, value in data.items()})

    def body(self) -> dict[str, Any]:
        """The JSON to send: what was set, without the webhook's address."""
        return self.model_dump(mode="json", exclude_unset=True)


class VideoRequest(Call):
    """What the three automatic calls have in common: a whole video from one request."""

    kind: ClassVar[str]
    path: ClassVar[str]

    title: fields.Text = ""
    video_tool: AutoVideoTool = fields.one("Auto", AutoVideoTool)
    scene_duration: fields.SceneSeconds = 5
    aspect_ratio: fields.Ratio = "16:9"
    is_transition: fields.Flag = False
    audio_option: fields.AutoAudio = None
    language: fields.Tongue = "English"

    @property
    def scenes(self) -> int:
        """How many scenes the video will have."""
        raise NotImplementedError

    @property
    def native_audio(self) -> bool:
        """Whether the scenes bring their own sound, which doubles the price."""
        return self.audio_option is not None and self.audio_option.native_audio


class _FromText(VideoRequest):
    scene_count: fields.SceneCount = 3
    image_tool: AutoImageTool = fields.one("AutoI", AutoImageTool)
    elements: fields.ElementsOrNull = None

    @property
    def scenes(self) -> int:
        """As many as were asked for."""
        return self.scene_count


class IdeaToVideo(_FromText):
    """`POST /v2/story/idea-2-video`: a video from an idea in words."""

    call = "idea-2-video"
    kind = "idea"
    path = "/v2/story/idea-2-video"

    idea: fields.Idea


class UrlToVideo(_FromText):
    """`POST /v2/story/url-2-video`: a video about a page; `idea` is its address, or a text with it."""

    call = "url-2-video"
    kind = "url"
    path = "/v2/story/url-2-video"

    idea: fields.IdeaWithAddress


class ImagesToVideo(VideoRequest):
    """`POST /v2/story/images-2-video`: a video with one scene for each image."""

    call = "images-2-video"
    kind = "images"
    path = "/v2/story/images-2-video"
    REFUSED_FIELDS: ClassVar[Mapping[str, str]] = {
        "webhook_url": _OURS,
        "scene_count": "each image makes one scene; leave it out",
        "image_tool": "the images are given; leave it out",
    }

    image_urls: fields.SomeAddresses
    idea: fields.Text = IMAGES_IDEA

    @property
    def scenes(self) -> int:
        """One for each image."""
        return len(self.image_urls)


class CreateStoryboard(Call):
    """`POST /v2/story`: a storyboard only, or more work on the one of `story_id`.

    The reference's samples send a `title` that its schema doesn't list; it is sent where it is set.
    `scene_count` is ignored where there are `image_urls`. `language` and `aspect_ratio` have no enum here.
    """

    call = "create storyboard"

    image_urls: fields.Addresses = ()
    idea: fields.Text
    story_id: fields.StoryIdOrNull = None
    title: fields.Text = ""
    scene_count: fields.SceneCount = 3
    language: fields.Text = "English"
    aspect_ratio: fields.AnyRatio = None
    audio_option: fields.Audio = None
    elements: fields.ElementsOrNull = None

    @field_validator("idea")
    @classmethod
    def _says_something(cls, idea: str, others: ValidationInfo) -> str:
        if not idea.strip() and not others.data.get("image_urls"):
            raise ValueError("allowed: a text that is not blank, unless there are image_urls")
        return idea


class CreateElements(Call):
    """`POST /v2/story/{id}/elements`: images of the characters, environments and objects."""

    call = "create elements"
    patience = 2

    image_tool: ImageTool = fields.one("AutoI", ImageTool)
    aspect_ratio: fields.RatioOrNull = "16:9"
    storyboard: fields.WholeStoryboard = None


class CreateScenes(Call):
    """`POST /v2/story/{id}/scenes`: images and narrations of the scenes."""

    call = "create scenes"
    patience = 3

    image_tool: ImageTool = fields.one("Seedream", ImageTool)
    aspect_ratio: fields.AnyRatio = None
    storyboard: fields.Storyboard = None
    audio_option: fields.Audio = None


class CreateVideos(Call):
    """`POST /v2/story/{id}/videos`: videos of the scenes, then the whole one. `duration` in seconds a scene."""

    call = "create videos"

    title: fields.Text = ""
    storyboard: fields.Storyboard = None
    is_transition: fields.Flag = False
    video_tool: VideoTool = fields.one("Auto", VideoTool)
    duration: fields.MotionSeconds = 5
    loop: fields.Loop = 1


class Concat(Call):
    """`POST /v2/story/{id}/concat`: one video of the scenes' videos, or of these (names by the V1 reference)."""

    call = "concat"
    patience = 3

    concat_video_urls: fields.Addresses = ()
    audio_urls: fields.Addresses = ()


AnyVideoRequest = IdeaToVideo | UrlToVideo | ImagesToVideo
KINDS: Mapping[str, type[AnyVideoRequest]] = {
    each.kind: each for each in (IdeaToVideo, UrlToVideo, ImagesToVideo)
}


def request_from_json(kind: str, data: object) -> AnyVideoRequest:
    """Reads the body of an automatic call; `kind` is idea, url or images. Raises InvalidRequest."""
    if kind not in KINDS:
        names = ", ".join(KINDS)
        raise single_problem("submit", "kind", kind, f"{nearest(kind, list(KINDS))}allowed: one of {names}")
    return KINDS[kind].read(data)
