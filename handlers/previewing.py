"""What a destination would get of a story: built as the deliver step does, sent to nobody and kept nowhere."""

from collections.abc import Mapping, Sequence
from typing import Any

from handlers.publications import StoredFiles, media_links, story_facts
from handlers.sample import NAME
from handlers.sample_publication import sample_facts, sample_publication
from service import route_choice
from service.domain.delivery import Publication, Video
from service.domain.routing import UnknownRoute, destinations_for
from service.domain.states import StepKind
from service.ledger import deliveries, reports, stories
from service.ledger.reports import StepRow
from service.ledger.stories import StoryRow, VideoRow
from service.route_choice import RouteTaken, routing_facts
from service.wiring import Relay

NO_ROUTE = "preview"
"""Stands for the route where none leads the story to the destination."""


class NoVideoYet(LookupError):
    """There is nothing to publish; the message says what to do."""


def routes_taken(relay: Relay, row: StoryRow | None) -> list[RouteTaken]:
    """Each route in order, with what keeps the story (None: the sample) from it at this moment.

    Raises UnknownRoute when the story is pinned to a route that is not configured.
    """
    pinned = row.route if row is not None else None
    return route_choice.routes_taken(relay.configuration.routes, _facts(relay, row), pinned, relay.now())


def _facts(relay: Relay, row: StoryRow | None) -> Mapping[str, Any]:
    if row is None:
        return sample_facts()
    with relay.ledger.read() as tx:
        video = stories.read_video(tx, row.id, row.revision)
    return routing_facts(row, video.seconds if video is not None else None)


def publication(relay: Relay, row: StoryRow | None, destination: str) -> Publication:
    """What the deliver step would hand to the destination's connector; None for the sample.

    Raises NoVideoYet.
    """
    if row is None:
        route = _route(relay, None, destination)
        return sample_publication(relay.settings.public_url, route, destination, relay.now())
    with relay.ledger.read() as tx:
        video = stories.read_video(tx, row.id, row.revision)
        steps = reports.steps_of(tx, row.id)
    if video is None:
        raise NoVideoYet(
            f"story {row.name} has no video yet: it is {row.state}. Look at another, or at `{NAME}`"
        )
    own = [step for step in steps if step.kind == StepKind.DELIVER and step.destination == destination]
    return _publication(relay, row, video, own, destination)


def _publication(
    relay: Relay, row: StoryRow, video: VideoRow, own: Sequence[StepRow], destination: str
) -> Publication:
    with relay.ledger.read() as tx:
        elsewhere = deliveries.visible(tx, row.id, but=destination, until=video.revision)
    same = next((step for step in own if step.revision == video.revision), None)
    repeat = same.repeat if same is not None else 0
    at = relay.now() if same is None else same.asked_at or same.created_at
    return Publication(
        story=story_facts(row, video.revision),
        video=Video(video.sha256, video.bytes, video.seconds, video.width, video.height),
        links=media_links(relay, video, at),
        files=StoredFiles(relay.video_store(), video),
        route=same.route if same is not None else _route(relay, row, destination),
        destination=destination,
        key=f"storyrelay-{row.submission_id}-{destination}",
        message_id=f"{row.submission_id}-{same.id if same is not None else 'preview'}"
        + (f"-{repeat}" if repeat else ""),
        repeat=repeat,
        published_at=at,
        reference=next((step.reference for step in reversed(own) if step.reference), {}),
        save=lambda _reference: None,
        check=lambda: None,
        elsewhere=elsewhere,
    )


def _route(relay: Relay, row: StoryRow | None, destination: str) -> str:
    """The route that leads the story there, or NO_ROUTE."""
    try:
        pinned = row.route if row is not None else None
        taken = destinations_for(relay.configuration.routes, _facts(relay, row), pinned, relay.now())
    except UnknownRoute:
        taken = {}
    return taken.get(destination, NO_ROUTE)
