"""What the API's calls take."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    RootModel,
)
from pydantic.json_schema import JsonSchemaValue

from service.story_api import IdeaToVideo, ImagesToVideo, UrlToVideo, VideoRequest


class _Written:
    """Documents an object as this request of the Story API, which then checks it in its own words."""

    def __init__(self, model: type[VideoRequest]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(self, _core: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self._model.__pydantic_core_schema__)


_Request = Mapping[str, JsonValue]
Label = Annotated[str, Field(min_length=1, max_length=200)]
LabelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,39}$")]


def _in_our_times(at: datetime) -> datetime:
    if not 1970 <= at.year < 2200:
        raise ValueError("a year from 1970 to 2199")
    return at


Edge = Annotated[AwareDatetime, Field(strict=False), AfterValidator(_in_our_times)]
"""A time that bounds others."""


class Strict(BaseModel):
    """An object of a request; it has these members and no other."""

    model_config = ConfigDict(extra="forbid", strict=True)


class EstimateIdea(Strict):
    """A video from an idea."""

    kind: Literal["idea"]
    request: Annotated[dict[str, JsonValue], _Written(IdeaToVideo)]


class EstimateUrl(Strict):
    """A video about a page."""

    kind: Literal["url"]
    request: Annotated[dict[str, JsonValue], _Written(UrlToVideo)]


class EstimateImages(Strict):
    """A video of images."""

    kind: Literal["images"]
    request: Annotated[dict[str, JsonValue], _Written(ImagesToVideo)]


class _Options(Strict):
    route: str | None = Field(None, description="Pin the story to this route, whatever its conditions say.")
    labels: dict[LabelName, Label] = Field({}, description="For routes.", max_length=50)
    again: bool = Field(False, description="Ask though the same request is unanswered; it may cost twice.")
    dry_run: bool = Field(False, description="Check and price, send nothing.")


class SubmitIdea(_Options, EstimateIdea):
    """Ask for a video from an idea."""


class SubmitUrl(_Options, EstimateUrl):
    """Ask for a video about a page."""


class SubmitImages(_Options, EstimateImages):
    """Ask for a video of images."""


class EstimateBody(RootModel[EstimateIdea | EstimateUrl | EstimateImages]):
    """What is to be priced."""

    root: EstimateIdea | EstimateUrl | EstimateImages = Field(discriminator="kind")


class SubmitBody(RootModel[SubmitIdea | SubmitUrl | SubmitImages]):
    """What is asked for."""

    root: SubmitIdea | SubmitUrl | SubmitImages = Field(discriminator="kind")


class SubmitHeaders(BaseModel):
    """Of a submission."""

    key: str | None = Field(
        None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="A name for this submission, such as a UUID: the same again within 24 hours gets the same answer.",
    )


class TrackBody(Strict):
    """Which story is adopted."""

    id: str = Field(min_length=1, max_length=200, description="The Story API's id.")
    route: str | None = Field(None, description="Pin the story to this route, whatever its conditions say.")
    unseen: bool = Field(False, description="Adopt it without asking the Story API first.")


class DestinationsBody(Strict):
    """Which destinations are meant."""

    destinations: list[str] = Field(
        [], max_length=100, description="Only these; none: all that had the story."
    )


class StoryPath(BaseModel):
    """Which story."""

    story: str = Field(min_length=1, max_length=200, description="The Story API's id, or our submission's.")


class DestinationPath(BaseModel):
    """Which destination."""

    destination: str = Field(min_length=1, max_length=200)
