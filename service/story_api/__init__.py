"""The Story API (V2, and V1 where it still shows): typed requests, stories, errors and prices."""

from service.story_api.client import StoryApi
from service.story_api.credits import CREDITS_PER_DOLLAR, RATES, Estimate, Rate, estimate
from service.story_api.errors import (
    PASSING,
    BadAnswer,
    FieldDetail,
    InsufficientCredit,
    Invalid,
    LimitReached,
    NotFound,
    StoryApiError,
    Unauthorized,
    Unavailable,
)
from service.story_api.fields import AudioOption, Element, Elements, is_story_id
from service.story_api.refusals import InvalidRequest, Problem
from service.story_api.schema import (
    KINDS,
    AnyVideoRequest,
    Concat,
    CreateElements,
    CreateScenes,
    CreateStoryboard,
    CreateVideos,
    IdeaToVideo,
    ImagesToVideo,
    UrlToVideo,
    VideoRequest,
    request_from_json,
)
from service.story_api.story import Story, StoryStatus, parse_story

__all__ = [
    "CREDITS_PER_DOLLAR",
    "KINDS",
    "PASSING",
    "RATES",
    "AnyVideoRequest",
    "AudioOption",
    "BadAnswer",
    "Concat",
    "CreateElements",
    "CreateScenes",
    "CreateStoryboard",
    "CreateVideos",
    "Element",
    "Elements",
    "Estimate",
    "FieldDetail",
    "IdeaToVideo",
    "ImagesToVideo",
    "InsufficientCredit",
    "Invalid",
    "InvalidRequest",
    "LimitReached",
    "NotFound",
    "Problem",
    "Rate",
    "Story",
    "StoryApi",
    "StoryApiError",
    "StoryStatus",
    "Unauthorized",
    "Unavailable",
    "UrlToVideo",
    "VideoRequest",
    "estimate",
    "is_story_id",
    "parse_story",
    "request_from_json",
]
