"""The Story API's ten calls, each sent once: who calls owns the schedule of retries."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from service.outbound_http import HttpClient, Interrupted, OutboundError, Request, Response, TooLarge
from service.story_api.answers import Exchange, refusal, story_of, story_or_nothing
from service.story_api.errors import BadAnswer, NotFound, StoryApiError, Unauthorized, Unavailable
from service.story_api.fields import A_STORY_ID, AN_ADDRESS, is_address, is_story_id
from service.story_api.refusals import shown, single_problem
from service.story_api.schema import (
    Call,
    Concat,
    CreateElements,
    CreateScenes,
    CreateStoryboard,
    CreateVideos,
    IdeaToVideo,
    ImagesToVideo,
    UrlToVideo,
    VideoRequest,
)
from service.story_api.story import Story
from service.story_api.texts import line

NO_STORY = "00000000-0000-0000-0000-000000000000"
"""The nil UUID (RFC 9562): an id that no story has."""

NO_ANSWER = "none"
"""The status of a call that got no answer."""

_POSTED = ("idea-2-video", "url-2-video", "images-2-video", "elements", "scenes", "videos", "concat")


class StoryApi:
    """A client for one account. It has no state, so threads may share it.

    `url`: the base address. `timeout`: seconds for a whole call; the steps that draw get twice or three times
    that, as in the reference's samples (120 and 180 s beside 60).
    Every call raises StoryApiError kinds (an impossible id is NotFound, unasked), InvalidRequest for an
    impossible `webhook_url`, and lets Interrupted of the HTTP seam through, which says that this process must
    stop. `told` hears of each call: which it was (`get`, `idea-2-video`, …), and the answer's status, or `none`.
    The key is in no error, repr or log.
    """

    def __init__(
        self,
        *,
        url: str,
        key: str,
        http: HttpClient,
        timeout: float = 60,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        told: Callable[[str, str], None] = lambda _call, _status: None,
    ) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._http = http
        self._timeout = timeout
        self._now = now
        self._told = told

    def __repr__(self) -> str:
        return f"StoryApi({line(self._url)!r})"

    def submit(self, request: VideoRequest, webhook_url: str = "") -> Story:
        """Orders a whole video. An error whose `sent` is true may have made, and charged, a story."""
        return story_of(self._post(request.path, request, webhook_url))

    def idea_to_video(self, request: IdeaToVideo, webhook_url: str = "") -> Story:
        """`POST /v2/story/idea-2-video`."""
        return self.submit(request, webhook_url)

    def url_to_video(self, request: UrlToVideo, webhook_url: str = "") -> Story:
        """`POST /v2/story/url-2-video`."""
        return self.submit(request, webhook_url)

    def images_to_video(self, request: ImagesToVideo, webhook_url: str = "") -> Story:
        """`POST /v2/story/images-2-video`."""
        return self.submit(request, webhook_url)

    def create_storyboard(self, request: CreateStoryboard) -> Story:
        """`POST /v2/story`: step 1 of 3."""
        return story_of(self._post("/v2/story", request))

    def create_elements(self, story_id: str, request: CreateElements) -> Story:
        """`POST /v2/story/{id}/elements`: optional, after the storyboard."""
        return story_of(self._post(f"{_path(story_id)}/elements", request))

    def create_scenes(self, story_id: str, request: CreateScenes) -> Story:
        """`POST /v2/story/{id}/scenes`: step 2 of 3."""
        return story_of(self._post(f"{_path(story_id)}/scenes", request))

    def create_videos(self, story_id: str, request: CreateVideos, webhook_url: str = "") -> Story:
        """`POST /v2/story/{id}/videos`: step 3 of 3."""
        return story_of(self._post(f"{_path(story_id)}/videos", request, webhook_url))

    def concat(self, story_id: str, request: Concat) -> Story:
        """`POST /v2/story/{id}/concat`: composes the video anew; `video_url` is filled later."""
        return story_of(self._post(f"{_path(story_id)}/concat", request))

    def get(self, story_id: str) -> Story:
        """`GET /v2/story/{id}`: the truth about a story. Another story's answer is a BadAnswer."""
        exchange = self._call("GET", _path(story_id))
        story = story_of(exchange)
        if story.id.lower() != story_id.strip().lower():
            raise BadAnswer(f"{exchange.call}: the answer is about another story, {story.id}", status=200)
        return story

    def delete(self, story_id: str) -> Story | None:
        """`DELETE /v2/story/{id}`, for good. Returns the last snapshot, None where the answer is empty."""
        return story_or_nothing(self._call("DELETE", _path(story_id)))

    def check_key(self) -> None:
        """Asks for a story that can't exist: that the Story API knows none says that the key is good."""
        try:
            self._call("GET", _path(NO_STORY))
        except NotFound as error:
            if error.code is None:
                text = f"GET {_path(NO_STORY)}: answered 404 without a code, so not by the Story API"
                raise BadAnswer(text, status=error.status) from error

    def _post(self, path: str, call: Call, webhook_url: str = "") -> Exchange:
        if webhook_url and not is_address(webhook_url):
            raise single_problem(call.call, "webhook_url", "…", f"allowed: {AN_ADDRESS}")
        body = call.body() | ({"webhook_url": webhook_url} if webhook_url else {})
        return self._call("POST", path, body, timeout=self._timeout * call.patience)

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> Exchange:
        name = f"{method} {path}"
        if not self._key:
            raise Unauthorized(f"{name}: not sent, because there is no API key")
        request = Request(
            method=method,
            url=self._url + path,
            headers=self._headers(has_body=body is not None),
            body=None if body is None else json.dumps(body, allow_nan=False).encode("ascii"),
            timeout=timeout or self._timeout,
        )
        response = self._send(name, request)
        self._told(_kind(method, path), _status(response.status))
        exchange = Exchange(name, response, (self._key, str((body or {}).get("webhook_url", ""))))
        if not 200 <= response.status < 300:
            raise refusal(exchange, response.retry_after(self._now()))
        return exchange

    def _headers(self, *, has_body: bool) -> dict[str, str]:
        about_body = {"Content-Type": "application/json"} if has_body else {}
        return {"X-Api-Key": self._key, "Accept": "application/json", **about_body}

    def _send(self, call: str, request: Request) -> Response:
        try:
            return self._http.send(request)
        except Interrupted:
            raise
        except OutboundError as error:
            self._told(_kind(request.method, request.url), NO_ANSWER)
            raise self._unanswered(call, error) from error

    def _unanswered(self, call: str, error: OutboundError) -> StoryApiError:
        text = f"{call}: {line(str(error), secrets=[self._key])}"
        kind = BadAnswer if isinstance(error, TooLarge) else Unavailable
        return kind(text, sent=error.sent)


def _kind(method: str, path: str) -> str:
    """A call's name, of a bounded set: ids are no part of it."""
    last = path.rpartition("/")[2]
    if method == "POST":
        return last if last in _POSTED else "storyboard"
    return method.lower()


def _status(status: int) -> str:
    return str(status) if status in set(HTTPStatus) else f"{status // 100}xx"


def _path(story_id: str) -> str:
    named = story_id.strip()
    if not is_story_id(named):
        raise NotFound(f"not asked, because no story can have the id {shown(story_id)} ({A_STORY_ID})")
    return f"/v2/story/{quote(named, safe='')}"
