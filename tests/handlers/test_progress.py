"""A story's progress in a channel, from the first look at it to the finished story."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from placed import SNAPSHOT, finished, run
from relayed import World, make_world
from scripted_api import ScriptedApi, scripted_api

from service.domain.states import StepState
from service.ledger import cancelling, deliveries, progress_steps, stories
from service.stand_ins.slack import SlackFault, SlackStandIn
from service.stand_ins.slack_shapes import Message
from service.story_api import IdeaToVideo
from service.withdrawing import Withdrawing

TOML = """
[destinations.place]
connector = "slack"
token = "xoxb-stand-in"
channel = "#videos"
api_url = "{slack}"
upload = "link"
timeout = 2
rate = "1000/s"
progress = true
[destinations.shelf]
connector = "archive"
path = "published"
[[routes]]
name = "all"
destinations = ["place", "shelf"]
when = {{ title = "Fox*" }}
"""


@dataclass
class Watched:
    world: World
    slack: SlackStandIn
    api: ScriptedApi
    story: dict[str, Any] = field(default_factory=lambda: {**SNAPSHOT, "status": "processing"})

    def at(self, percent: int, **changes: Any) -> None:
        """The Story API says so, and is asked."""
        self.story |= {"progress_percentage": percent, **changes}
        self.world.track("story-1")
        self.world.run()

    def message(self) -> Message:
        (message,) = [one for one in self.slack.messages if one.metadata]
        return message

    def shown(self) -> str:
        return self.message().blocks[-1]["elements"][0]["text"]

    def lines(self) -> list[str]:
        return [reply.text for reply in self.slack.replies(self.message())]


@pytest.fixture
def watched(tmp_path: Path, database_url: str) -> Iterator[Watched]:
    with SlackStandIn() as slack, scripted_api() as api:
        env = {"STORY_API_URL": api.url, "STORY_API_KEY": "key"}
        world = make_world(tmp_path, database_url, TOML.format(slack=slack.api_url), env)
        watched = Watched(world, slack, api)
        api.answer = lambda _body: (200, watched.story)
        yield watched
        world.relay.ledger.close()


def test_a_story_gets_on_and_becomes_the_finished_message(watched: Watched) -> None:
    watched.at(10)
    assert (watched.shown(), watched.lines()) == ("Being made", [])
    for percent in (20, 49, 50, 51, 80):
        watched.at(percent)
    assert watched.lines() == ["50 % done"]
    being_made = watched.message().ts
    deliver = finished(watched.world)
    run(watched.world, deliver)
    assert watched.message().ts == being_made
    assert "Watch the video" in str(watched.message().blocks)
    assert "Being made" not in str(watched.message().blocks)
    assert watched.world.steps("story-1")["deliver/place"].url is not None


def test_a_failure_is_said(watched: Watched) -> None:
    watched.at(10)
    watched.at(60, status="fail", message="no <!channel> credits")
    assert watched.shown() == "Failed: no <!channel> credits"
    assert watched.lines() == ["Failed: no &lt;!channel&gt; credits"]


def test_a_story_that_is_finished_when_first_seen_has_no_progress(watched: Watched) -> None:
    run(watched.world, finished(watched.world))
    watched.world.run()
    assert "progress/place" not in watched.world.steps("story-1")
    assert watched.lines() == []


def test_a_story_of_another_route_is_not_shown(watched: Watched) -> None:
    watched.at(10, title="Bear")
    assert watched.slack.messages == []


def test_what_happens_elsewhere_is_said_in_the_thread(watched: Watched) -> None:
    watched.at(10)
    run(watched.world, finished(watched.world))
    relay, row = watched.world.relay, watched.world.story("story-1")
    with relay.ledger.write() as tx:
        stories.lock(tx, row.id)
        progress_steps.ask(tx, row.id, relay.now())
        stories.change(tx, row.id, relay.now(), revision=2)
    watched.world.run()
    assert watched.lines() == ["A new video was made: revision 2"]


def test_a_story_withdrawn_before_it_came_says_so(watched: Watched) -> None:
    watched.at(10)
    finished(watched.world)
    relay = watched.world.relay
    Withdrawing(relay.ledger, relay.configuration, relay.now).withdraw(watched.world.story("story-1").id)
    watched.world.run()
    assert watched.shown() == "Withdrawn before it was published here"


def test_a_withdrawn_story_leaves_nothing_of_its_progress(watched: Watched) -> None:
    watched.at(60)
    run(watched.world, finished(watched.world))
    relay, key = watched.world.relay, watched.world.story("story-1").id
    Withdrawing(relay.ledger, relay.configuration, relay.now).withdraw(key)
    watched.world.run()
    with relay.ledger.read() as tx:
        assert deliveries.withdrawn(tx, key) == ["place"]
    assert watched.slack.workspace.messages == []


def test_a_delivery_waits_while_its_progress_is_shown(watched: Watched) -> None:
    watched.at(10)
    deliver = finished(watched.world)
    relay, row = watched.world.relay, watched.world.story("story-1")
    with relay.ledger.write() as tx:
        table = progress_steps.table
        shown = table.c.kind == "progress", table.c.story == row.id
        tx.execute(table.update().where(*shown).values(state="running"))
    run(watched.world, deliver)
    assert watched.world.steps("story-1")["deliver/place"].state == StepState.PENDING
    assert watched.shown() == "Being made"


def test_an_answer_that_was_lost_makes_no_second_message(watched: Watched) -> None:
    watched.slack.fail_next("chat.postMessage", SlackFault(drop=True, after_effect=True))
    watched.at(10)
    run(watched.world, finished(watched.world))
    assert "Watch the video" in str(watched.message().blocks)
    watched.world.run_for(60, 20)
    assert len(watched.slack.messages) == 1


def test_a_delivery_that_gave_up_is_said(watched: Watched) -> None:
    watched.at(10)
    watched.slack.fail_next("chat.update", SlackFault(error="msg_too_long"))
    run(watched.world, finished(watched.world))
    watched.world.run()
    assert watched.world.steps("story-1")["deliver/place"].state == StepState.DEAD
    assert watched.lines() == ["Could not be delivered to place"]


def test_a_submission_is_looked_at_at_once_where_its_progress_is_shown(watched: Watched) -> None:
    relay = watched.world.relay
    assert relay.shows_any_progress
    submission = replace(watched.world.submission, watched=True)
    submission.submit(IdeaToVideo(idea="A fox walks home"))
    watched.world.reconcile()
    watched.world.run()
    assert watched.shown() == "Being made"


def test_a_cancelled_story_says_so(watched: Watched) -> None:
    watched.at(10)
    relay = watched.world.relay
    with relay.ledger.write() as tx:
        cancelling.cancel(tx, stories.lock(tx, watched.world.story("story-1").id), "ann", relay.now())
    watched.world.run()
    assert watched.shown() == "Cancelled: cancelled by ann"
