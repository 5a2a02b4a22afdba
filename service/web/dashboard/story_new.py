"""`/stories/new`: asks the Story API for a video, once however often the form is sent, or adopts a story."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, get_args

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.domain.people import Doer, Role
from service.domain.states import StoryState
from service.domain.stories import read_label
from service.intake import new_submission_id
from service.settings import SettingsError
from service.story_api import (
    AnyVideoRequest,
    Estimate,
    InvalidRequest,
    StoryApiError,
    estimate,
    request_from_json,
)
from service.story_api.vocabulary import AspectRatio, AutoImageTool, AutoVideoTool, Language, Narrator
from service.submission import AlreadyAsked, AlreadySubmitted, Submission
from service.web.dashboard.guard import me, needs, remote, sentence
from service.wiring import Relay

Answer = AnyResponse | tuple[str, int]

KINDS = {"idea": "An idea", "url": "A page on the web", "images": "Images"}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "aspect_ratio": get_args(AspectRatio),
    "language": get_args(Language),
    "video_tool": get_args(AutoVideoTool),
    "image_tool": get_args(AutoImageTool),
    "narrator": get_args(Narrator),
}
_SUBMISSION = re.compile(r"[A-Za-z0-9_-]{16}", re.ASCII)
_NUMBERS = ("scene_count", "scene_duration")
_NOT_FOR_IMAGES = ("scene_count", "image_tool")


@dataclass(frozen=True)
class Filled:
    """What the form asks for, read and priced."""

    request: AnyVideoRequest
    price: Estimate
    route: str | None
    labels: Mapping[str, str]


def add(page: Blueprint, relay: Relay) -> None:
    """Adds the page."""
    pages = _NewStory(relay)
    page.add_url_rule("/stories/new", view_func=pages.story_new)
    page.add_url_rule("/stories/new", view_func=pages.story_submit, methods=["POST"])


@dataclass(frozen=True)
class _NewStory:
    relay: Relay

    @needs(Role.OPERATOR)
    def story_new(self) -> Answer:
        return self._form(new_submission_id())

    @needs(Role.OPERATOR)
    def story_submit(self) -> Answer:
        submission = request.form.get("submission", "")
        if not _SUBMISSION.fullmatch(submission):
            return self._form(new_submission_id(), ["This form was not whole: please send it again."])
        try:
            filled = _read(request.form, {route.name for route in self.relay.configuration.routes})
        except InvalidRequest as refused:
            return self._form(submission, [f"{problem}." for problem in refused.problems])
        except ValueError as error:
            return self._form(submission, [sentence(error)])
        if request.form.get("do") != "submit":
            return self._form(submission, filled=filled)
        return self._submit(filled, submission)

    def _submit(self, filled: Filled, submission: str) -> Answer:
        try:
            submitted = self._submission().submit(
                filled.request,
                route=filled.route,
                labels=filled.labels,
                again=bool(request.form.get("again")),
                by=Doer(me().name, remote()),
                submission_id=submission,
            )
        except AlreadySubmitted:
            return redirect(url_for("dashboard.story", story=submission))  # a second press of the same button
        except AlreadyAsked as error:
            return self._form(new_submission_id(), [sentence(error)], asks_again=True)
        except (StoryApiError, InvalidRequest, SettingsError) as error:
            # its row says that it was refused; the next try is another submission
            return self._form(new_submission_id(), [sentence(error)])
        if submitted.state == StoryState.UNCONFIRMED:
            flash("The Story API did not answer, so it may or may not be making the video.", "problem")
        else:
            flash(f"The video is asked for, at about {submitted.estimated_credits} credits.")
        return redirect(url_for("dashboard.story", story=submission))

    def _submission(self) -> Submission:
        relay = self.relay
        if not relay.settings.story_api_key.get_secret_value():
            raise SettingsError("STORY_API_KEY is not set: take it from the provider's console")
        return relay.submission()

    def _form(
        self,
        submission: str,
        problems: list[str] | None = None,
        *,
        filled: Filled | None = None,
        asks_again: bool = False,
    ) -> Answer:
        shown = render_template(
            "story_new.html",
            form=request.form,
            submission=submission,
            problems=problems or [],
            filled=filled,
            asks_again=asks_again,
            kinds=KINDS,
            choices=CHOICES,
            routes=[route.name for route in self.relay.configuration.routes],
        )
        return shown, HTTPStatus.BAD_REQUEST if problems else HTTPStatus.OK


def _read(form: Mapping[str, str], routes: set[str]) -> Filled:
    """What was filled in. Raises InvalidRequest, ValueError."""
    kind, route = form.get("kind", "idea"), form.get("route") or None
    if route is not None and route not in routes:
        raise ValueError(f"there is no route {route[:80]!r}")
    asked = request_from_json(kind, dict(_fields(form, kind)))
    return Filled(asked, estimate(asked), route, _labels(form.get("labels", "")))


def _fields(form: Mapping[str, str], kind: str) -> Iterator[tuple[str, Any]]:
    """The request's fields that were filled in; what is left empty is the Story API's to choose."""
    text = form.get("text", "").strip()
    yield ("image_urls", text.split()) if kind == "images" else ("idea", text)
    for name in ("title", "aspect_ratio", "language", "video_tool", "image_tool", *_NUMBERS):
        given = form.get(name, "").strip()
        if given and not (kind == "images" and name in _NOT_FOR_IMAGES):
            yield name, int(given) if name in _NUMBERS and given.isdecimal() else given
    if form.get("is_transition"):
        yield "is_transition", True
    if form.get("narrator"):
        yield "audio_option", {"narrator": form["narrator"]}


def _labels(written: str) -> dict[str, str]:
    return dict(read_label(each) for each in written.split(",") if each.strip())
