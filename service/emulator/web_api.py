"""The ten calls over HTTP."""

import re
import time
from collections.abc import Callable
from typing import TypeVar

from flask import Flask, Response, g, jsonify, request

from service.emulator.accounts import Account
from service.emulator.faults import BadFault, Faults, parse_faults, split_markers
from service.emulator.held import HeldConnections
from service.emulator.refusals import bad_request, limit_reached, server_error
from service.emulator.schema import (
    AudioOption,
    Automatic,
    Body,
    Concat,
    CreateElements,
    CreateScenes,
    CreateStoryboard,
    CreateVideos,
    Elements,
    IdeaToVideo,
    ImagesToVideo,
    UrlToVideo,
    read_body,
)
from service.emulator.steps import Steps
from service.emulator.stories import Order, Story
from service.emulator.studio import Studio

Read = TypeVar("Read", bound=Body)
_URL = re.compile(r"https?://[^\s/]+\S*|\b[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}\.[a-z]{2,24}\b", re.IGNORECASE)


class StoryCalls:
    """One method for each call."""

    def __init__(self, studio: Studio, held: HeldConnections) -> None:
        self._studio = studio
        self._steps = Steps(studio)
        self._held = held

    def mount(self, app: Flask) -> None:
        """Adds the calls to an app."""
        for method, path, view in (
            ("POST", "/v2/story/idea-2-video", self.idea_to_video),
            ("POST", "/v2/story/url-2-video", self.url_to_video),
            ("POST", "/v2/story/images-2-video", self.images_to_video),
            ("POST", "/v2/story", self.create_storyboard),
            ("POST", "/v2/story/<story_id>/elements", self.create_elements),
            ("POST", "/v2/story/<story_id>/scenes", self.create_scenes),
            ("POST", "/v2/story/<story_id>/videos", self.create_videos),
            ("POST", "/v2/story/<story_id>/concat", self.concat),
            ("GET", "/v2/story/<story_id>", self.get_story),
            ("DELETE", "/v2/story/<story_id>", self.delete_story),
        ):
            app.add_url_rule(path, view.__name__, self._admitted(view), methods=[method])

    def idea_to_video(self) -> Response:
        """A video from an idea."""
        body = _read(IdeaToVideo)
        _not_blank(body.idea)
        return self._automatic(body, body.idea, body.scene_count, body.elements)

    def url_to_video(self) -> Response:
        """A video from a web page, which the emulator does not fetch."""
        body = _read(UrlToVideo)
        if not _URL.search(body.idea):
            raise bad_request("idea holds no URL")
        return self._automatic(body, body.idea, body.scene_count, body.elements)

    def images_to_video(self) -> Response:
        """A video from pictures, which the emulator does not fetch."""
        body = _read(ImagesToVideo)
        _pictures(body.image_urls)
        return self._automatic(body, body.idea, len(body.image_urls), None, body.image_urls)

    def create_storyboard(self) -> Response:
        """A storyboard, for a new story or anew for one that exists."""
        body = _read(CreateStoryboard)
        _not_blank(body.idea)
        _pictures(body.image_urls)
        text, faults = _faults(body.idea)
        if body.story_id:
            story = self._steps.revise(self._find(body.story_id), body, text)
        else:
            story = self._steps.create(body, text, _account(), _origin())
            faults = faults.beside(self._studio.roll())
        story.take_faults(faults)
        return self._answer(story)

    def create_elements(self, story_id: str) -> Response:
        """Pictures of the elements."""
        story = self._find(story_id)
        self._steps.elements(story, _read(CreateElements))
        return self._answer(story)

    def create_scenes(self, story_id: str) -> Response:
        """Pictures and narration of the scenes."""
        story = self._find(story_id)
        self._steps.scenes(story, _read(CreateScenes))
        return self._answer(story)

    def create_videos(self, story_id: str) -> Response:
        """The video of a story by steps."""
        story, body, faults = self._find(story_id), _read(CreateVideos), _faults("")[1]
        story.take_faults(faults)

        def make() -> Story:
            self._steps.videos(story, body, _account())
            return story

        return self._submitted(story.faults, make)

    def concat(self, story_id: str) -> Response:
        """The final video, composed anew; the body may be missing."""
        story = self._find(story_id)
        self._steps.concat(story, _read(Concat) if request.get_data() else Concat())
        return self._answer(story)

    def get_story(self, story_id: str) -> Response:
        """A story as it stands, unless it is in a burst of errors."""
        story = self._find(story_id)
        with self._studio.lock:
            story.tallies.gets += 1
            left = story.tallies.burst_left
            story.tallies.burst_left = max(0, left - 1)
        if left:
            raise limit_reached("too many calls", 1) if left % 2 else server_error("something went wrong")
        return self._answer(story)

    def delete_story(self, story_id: str) -> Response:
        """Deletes a story; answers its last snapshot."""
        return jsonify(self._studio.delete(self._find(story_id)).body())

    def _automatic(
        self, body: Automatic, idea: str, scenes: int, elements: Elements | None, images: tuple[str, ...] = ()
    ) -> Response:
        text, asked = _faults(idea)
        order = Order(
            idea=idea,
            text=text,
            title=body.title,
            scene_count=scenes,
            scene_seconds=body.scene_duration,
            aspect_ratio=body.aspect_ratio,
            is_transition=body.is_transition,
            video_tool=body.video_tool,
            audio=body.audio_option or AudioOption(),
            elements=elements or Elements(),
            image_urls=images,
            webhook_url=body.webhook_url,
        )
        faults = asked.beside(self._studio.roll())
        return self._submitted(faults, lambda: self._studio.submit(order, _account(), _origin(), faults))

    def _submitted(self, faults: Faults, make: Callable[[], Story]) -> Response:
        """Starts a video and answers, or does not, as the faults have it."""
        if faults.number("submit-500") == 1:
            raise server_error("the story could not be taken")
        story = make()
        if "webhook-early" in faults:
            self._studio.announce_early(story)
        if "submit-500" in faults:
            raise server_error("the story was taken, and then something went wrong")
        if "submit-timeout" in faults:
            self._held.hold(request.environ.get("werkzeug.socket"), self._studio.options.hold_seconds)
        return self._answer(story)

    def _find(self, story_id: str) -> Story:
        return self._studio.find(story_id, _account())

    def _answer(self, story: Story) -> Response:
        g.story = story.id
        return jsonify(self._studio.answer(story).body())

    def _admitted(self, view: Callable[..., Response]) -> Callable[..., Response]:
        """Asks for the key, counts the call, and lets chance refuse it, before the call itself."""

        def admitted(**path: str) -> Response:
            account = self._studio.accounts.of(request.headers.get("X-Api-Key"))
            with self._studio.lock:
                account.count_call(time.monotonic(), self._studio.options.calls_per_minute)
            if self._studio.rolls_api_error():
                raise server_error("something went wrong")
            g.account = account
            return view(**path)

        return admitted


def _account() -> Account:
    account: Account = g.account
    return account


def _origin() -> str:
    return request.host_url.rstrip("/")


def _read(model: type[Read]) -> Read:
    return read_body(model, request.headers.get("Content-Type", ""), request.get_data())


def _faults(idea: str) -> tuple[str, Faults]:
    """The idea without its markers, and the faults that they and the header X-Emulator-Faults ask for."""
    try:
        text, marked = split_markers(idea)
        return text, parse_faults(request.headers.get("X-Emulator-Faults", "")).beside(marked)
    except BadFault as error:
        raise bad_request(str(error)) from None


def _not_blank(idea: str) -> None:
    if not idea.strip():
        raise bad_request("idea is empty")


def _pictures(urls: tuple[str, ...]) -> None:
    for number, url in enumerate(urls):
        if not re.match(r"https?://\S+$", url):
            raise bad_request(f"image_urls[{number}] is no http or https URL")
