"""Stories: the list, and one in full."""

from collections.abc import Iterator

from flask import Response, jsonify
from flask_openapi.blueprint import APIBlueprint
from pydantic import Field

from service.domain.api_tokens import Scope
from service.domain.states import StoryState
from service.ledger import stories, story_list
from service.ledger.dossier import read_dossier
from service.ledger.stories import VideoRow
from service.ledger.story_list import Sought
from service.story_json import dossier_json, story_json
from service.web.api.answers import answers, tagged
from service.web.api.gate import takes
from service.web.api.naming import found_story
from service.web.api.paging import PageQuery, page_up_to
from service.web.api.requests import Edge, StoryPath
from service.web.api.results import page_of
from service.web.api.shapes import Story, StoryInFull
from service.wiring import Relay

LINK_SECONDS = 3600

_TAG = tagged("Stories")


class StoriesQuery(PageQuery):
    """Which stories: all that is given must hold."""

    state: list[StoryState] = Field([], description="Only in these states.")
    route: str | None = Field(
        None, min_length=1, max_length=200, description="Pinned to this route, or led by it."
    )
    destination: str | None = Field(None, min_length=1, max_length=200, description="That go there.")
    label: str | None = Field(
        None,
        pattern=r"^[^=]{1,40}=.{0,200}$",
        description="With this label, as `name=value`.",
        examples=["team=brand"],
    )
    since: Edge | None = Field(None, description="That came in then or later.")
    until: Edge | None = Field(None, description="That came in before.")
    text: str | None = Field(
        None, min_length=1, max_length=200, description="Words that title or idea hold, or an id."
    )

    def sought(self) -> Sought:
        """What is asked for."""
        name, _, value = (self.label or "").partition("=")
        return Sought(
            states=tuple(self.state),
            route=self.route,
            destination=self.destination,
            labels={name: value} if name else {},
            since=self.since,
            until=self.until,
            words=self.text or "",
        )


def add(api: APIBlueprint, relay: Relay) -> None:
    """Adds the calls."""

    @api.get("/stories", tags=_TAG, responses=answers({200: page_of(Story, "StoriesPage")}))
    @takes(Scope.READ)
    def list_stories(query: StoriesQuery) -> Response:
        """List the stories, newest first

        A page may have fewer stories than `limit` and a `next`: a search among very many stops for a while.
        """
        with relay.ledger.read() as tx:
            found = story_list.page(tx, query.sought(), query.limit, before=query.key())
            rows = stories.of_keys(tx, found.keys)
        return page_up_to([story_json(row) for row in rows], found.older)

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
