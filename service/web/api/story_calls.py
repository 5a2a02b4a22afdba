"""Stories: the list, and one in full."""

from collections.abc import Iterator

from flask import Response, jsonify
from flask_openapi.blueprint import APIBlueprint
from pydantic import Field

from service.domain.api_tokens import Scope
from service.domain.states import StoryState
from service.ledger import stories
from service.ledger.dossier import read_dossier
from service.ledger.stories import VideoRow
from service.story_json import dossier_json, story_json
from service.web.api.answers import answers, tagged
from service.web.api.gate import takes
from service.web.api.naming import found_story
from service.web.api.paging import PageQuery, page
from service.web.api.requests import StoryPath
from service.web.api.results import page_of
from service.web.api.shapes import Story, StoryInFull
from service.wiring import Relay

LINK_SECONDS = 3600

_TAG = tagged("Stories")


class StoriesQuery(PageQuery):
    """Which stories."""

    state: list[StoryState] = Field([], description="Only in these states.")


def add(api: APIBlueprint, relay: Relay) -> None:
    """Adds the calls."""

    @api.get("/stories", tags=_TAG, responses=answers({200: page_of(Story, "StoriesPage")}))
    @takes(Scope.READ)
    def story_list(query: StoriesQuery) -> Response:
        """List the stories, newest first"""
        with relay.ledger.read() as tx:
            rows = stories.listed(tx, query.state, query.limit + 1, query.key())
        return page(rows, query.limit, lambda row: row.id, story_json)

    @api.get("/stories/<string:story>", tags=_TAG, responses=answers({200: StoryInFull}))
    @takes(Scope.READ)
    def story_in_full(path: StoryPath) -> Response:
        """Read all about one story

        Its facts, steps, attempts, webhooks and notices, and links to its video that are good for an hour.
        """
        row = found_story(relay, path.story)
        with relay.ledger.read() as tx:
            dossier = read_dossier(tx, row)
        return jsonify(dossier_json(dossier, list(_files(relay, dossier.video))))


def _files(relay: Relay, video: VideoRow | None) -> Iterator[dict[str, str | None]]:
    if video is None or video.removed_at is not None:
        return
    names = {"video.mp4": True, "poster.jpg": video.has_poster, "captions.vtt": video.has_captions}
    for name, there in names.items():
        if there:
            yield {"name": name, "url": relay.media_urls.url(f"{video.prefix}/{name}", name, LINK_SECONDS)}
