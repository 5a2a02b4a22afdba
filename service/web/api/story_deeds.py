"""What can be done with one story."""

from flask import Response, jsonify
from flask_openapi.blueprint import APIBlueprint

from service import story_actions
from service.domain.api_tokens import Scope
from service.replaying import Replaying
from service.story_actions import StoryActions
from service.story_json import story_json
from service.web.api.answers import answers, tagged
from service.web.api.gate import takes, who
from service.web.api.naming import found_story, known_destinations
from service.web.api.problems import refuse
from service.web.api.requests import DestinationsBody, StoryPath
from service.web.api.results import Acted, Replayed, Withdrawn
from service.wiring import Relay
from service.withdrawing import Withdrawing

_TAG = tagged("Stories")
_IN_VAIN = {409: "The story is where this can't be done; `detail` says why."}


def add(api: APIBlueprint, relay: Relay) -> None:
    """Adds the calls."""

    @api.post(
        "/stories/<string:story>/replay",
        tags=_TAG,
        responses=answers({200: Replayed}, _IN_VAIN, body=True),
    )
    @takes(Scope.OPERATE)
    def replay(path: StoryPath, body: DestinationsBody) -> Response:
        """Do what ended, or went wrong, once more

        A story with a video is delivered again, to every destination that had it or to those that are named. One
        whose video could not be had is downloaded again. Any other is asked for at the Story API again.
        """
        known_destinations(relay, body.destinations)
        row = found_story(relay, path.story)
        replaying = Replaying(relay.ledger, relay.settings, relay.configuration, relay.now)
        replayed = replaying.replay(row.id, body.destinations, by=who())
        relay.dispatcher.dispatch(replayed.lanes)
        actions = [
            {"kind": each.lane.kind, "destination": each.lane.destination or None, "done": each.done}
            for each in replayed.actions
        ]
        return jsonify(story=story_json(replayed.story), actions=actions)

    @api.post(
        "/stories/<string:story>/withdraw",
        tags=_TAG,
        responses=answers({200: Withdrawn}, _IN_VAIN, body=True),
    )
    @takes(Scope.OPERATE)
    def withdraw(path: StoryPath, body: DestinationsBody) -> Response:
        """Take a story back from where it was published

        Each destination that has it, or each that is named, is asked to delete or unpublish it.
        """
        known_destinations(relay, body.destinations)
        row = found_story(relay, path.story)
        withdrawn = Withdrawing(relay.ledger, relay.configuration, relay.now).withdraw(
            row.id, body.destinations, by=who()
        )
        relay.dispatcher.dispatch(withdrawn.lanes)
        actions = [{"destination": each.destination, "done": each.done} for each in withdrawn.actions]
        return jsonify(story=story_json(withdrawn.story), actions=actions)

    @api.post("/stories/<string:story>/fetch", tags=_TAG, responses=answers({200: Acted}, _IN_VAIN))
    @takes(Scope.OPERATE)
    def fetch_now(path: StoryPath) -> Response:
        """Ask the Story API at once how a story stands"""
        return _acted(_actions(relay).fetch_now(found_story(relay, path.story).id))

    @api.post("/stories/<string:story>/cancel", tags=_TAG, responses=answers({200: Acted}, _IN_VAIN))
    @takes(Scope.OPERATE)
    def cancel(path: StoryPath) -> Response:
        """Stop a story that is still open

        Nothing of it is polled, downloaded or delivered from now on. What went out already stays.
        """
        return _acted(_actions(relay).cancel(found_story(relay, path.story).id))


def _actions(relay: Relay) -> StoryActions:
    return relay.story_actions(who())


def _acted(acted: story_actions.Acted) -> Response:
    if acted.story is None:
        raise refuse(404, "the story was forgotten meanwhile", "unknown-story")
    return jsonify(changed=acted.changed, told=list(acted.sentences), story=story_json(acted.story))
