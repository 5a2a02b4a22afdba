"""Asking for videos, pricing them, and adopting stories of others."""

import json

from flask import Response, jsonify
from flask_openapi.blueprint import APIBlueprint

from service.domain.api_tokens import Scope
from service.domain.states import StepKind, StoryState
from service.domain.steps import Lane
from service.ledger import stories
from service.settings import SettingsError
from service.story_api import AnyVideoRequest, estimate, is_story_id, request_from_json
from service.story_json import story_json
from service.submission import Submission
from service.submission_json import estimate_json, submitted_json
from service.web.api.answers import answers, tagged
from service.web.api.gate import caller, takes, who
from service.web.api.idempotency import Beside, Keyed, digest_of
from service.web.api.naming import known_route
from service.web.api.problems import refuse
from service.web.api.requests import (
    EstimateBody,
    SubmitBody,
    SubmitHeaders,
    SubmitIdea,
    SubmitImages,
    SubmitUrl,
    TrackBody,
)
from service.web.api.results import Checked, Estimate, Submitted, Tracked
from service.web.slow_lane import SlowLane
from service.wiring import Relay

_TAG = tagged("Submitting")
_API = {
    402: "The Story API's account lacks credits.",
    409: "The same request is unanswered, or its key is in use.",
    410: "What this key asked for is forgotten since; nothing was asked for again.",
    502: "The Story API failed.",
}

_Asked = SubmitIdea | SubmitUrl | SubmitImages


def add(api: APIBlueprint, relay: Relay, slow: SlowLane) -> None:
    """Adds the calls."""

    @api.post("/estimates", tags=_TAG, responses=answers({200: Estimate}, body=True))
    @takes(Scope.READ)
    def price(body: EstimateBody) -> Response:
        """Price a video before it is asked for

        Nothing is sent.
        """
        wanted = request_from_json(body.root.kind, body.root.request)
        return jsonify(_priced(wanted))

    made = answers({200: Checked, 201: Submitted, 202: Submitted}, _API, body=True)

    @api.post("/stories", tags=_TAG, responses=made)
    @takes(Scope.SUBMIT)
    def submit(header: SubmitHeaders, body: SubmitBody) -> Response:
        """Ask the Story API for a video

        The ledger has the story before the call leaves. 202: the call got no answer, so whether the story is made
        is not known yet; the same is not asked for twice within an hour unless `again` says so. 200: a dry run.
        """
        asked = body.root
        wanted = request_from_json(asked.kind, asked.request)
        known_route(relay, asked.route)
        if asked.dry_run:
            return jsonify(dry_run=True, kind=asked.kind, request=wanted.body(), estimate=_priced(wanted))
        with slow.place():
            if header.key is None:
                status, said = _submit(relay, asked, wanted, None)
                return Response(said, status, mimetype="application/json")
            keyed = Keyed(relay, caller().id, header.key, digest_of(asked.model_dump(mode="json")))
            return keyed.answer(lambda beside: _submit(relay, asked, wanted, beside))

    @api.post("/tracked", tags=_TAG, responses=answers({200: Tracked, 201: Tracked}, _API, body=True))
    @takes(Scope.SUBMIT)
    def track(body: TrackBody) -> tuple[Response, int]:
        """Adopt a story that somebody else submitted

        The Story API is asked whether it has the story. Then it is fetched, and delivered when it is finished.
        200: it was known already, and is only fetched anew.
        """
        if not is_story_id(body.id):
            raise refuse(422, "`id` can't be a story's id", "invalid-request")
        known_route(relay, body.route)
        with slow.place():
            return _track(relay, body)


def _priced(wanted: AnyVideoRequest) -> dict[str, object]:
    return {"kind": wanted.kind, **estimate_json(estimate(wanted))}


def _submit(relay: Relay, asked: _Asked, wanted: AnyVideoRequest, beside: Beside | None) -> tuple[int, str]:
    submission = _submission(relay, beside)
    submitted = submission.submit(wanted, route=asked.route, labels=asked.labels, again=asked.again, by=who())
    status = 202 if submitted.state == StoryState.UNCONFIRMED else 201
    return status, json.dumps(submitted_json(submitted))


def _submission(relay: Relay, beside: Beside | None = None) -> Submission:
    if not relay.settings.story_api_key.get_secret_value():
        raise SettingsError("STORY_API_KEY is not set here: take it from the provider's console")
    return relay.submission(beside=beside)


def _track(relay: Relay, body: TrackBody) -> tuple[Response, int]:
    story_id = body.id
    with relay.ledger.read() as tx:
        before = stories.find(tx, story_id)
    if before is None and not body.unseen:
        submission = _submission(relay)
        story_id = submission.api.get(story_id).id
        with relay.ledger.read() as tx:
            before = stories.find(tx, story_id)
    row = relay.submission().track(story_id, route=body.route, by=who())
    relay.dispatcher.dispatch([Lane(StepKind.FETCH)])
    return jsonify(known=before is not None, story=story_json(row)), 200 if before is not None else 201
