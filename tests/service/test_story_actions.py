"""What people do with a story: each in one transaction, with its line in the audit log."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from placed import Place, finished, world_on
from relayed import START, World
from scripted_api import ScriptedApi, scripted_api

from handlers.step_machine import StepMachine
from handlers.worker import HANDLERS
from service.domain.delivery import DeliveryFailed, Publication, Published
from service.domain.people import Doer
from service.domain.states import Origin, StepKind, StepState, StoryState
from service.domain.steps import Lane
from service.intake import Delivery
from service.ledger import people, receipts, steps, stories
from service.ledger.people import Deed
from service.ledger.retention_tables import discarded_files
from service.ledger.stories import NewStory
from service.ledger.tables import steps as step_table
from service.outbound_http import HttpClient
from service.story_actions import ActionRefused, StoryActions
from service.story_api import StoryApi
from service.video_store import ObjectStore, StoreError
from service.webhook_url import RouteToken

TOML = """
[destinations.blog]
connector = "archive"
path = "b"
[destinations.team]
connector = "archive"
path = "t"
"""
ADA = Doer("Ada", "192.0.2.7")


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def world(tmp_path: Path, database_url: str, place: Place) -> Iterator[World]:
    world = world_on(database_url, tmp_path, place, TOML)
    yield world
    world.relay.ledger.close()


@pytest.fixture
def actions(world: World) -> StoryActions:
    return world.relay.story_actions(ADA)


def deliver_to(world: World, *destinations: str) -> None:
    finished(world, 1, deliver=False)
    with world.relay.ledger.write() as tx:
        steps.add(
            tx, [steps.NewStep(Lane(StepKind.DELIVER, name), 1, 1, "all") for name in destinations], START
        )


def deeds(world: World) -> list[Deed]:
    with world.relay.ledger.read() as tx:
        return people.deeds_about(tx, ["story-1"], START - timedelta(days=1), 10)


def key_of(world: World, story_id: str = "story-1") -> int:
    return world.story(story_id).id


def test_fetching_makes_the_fetch_due_and_says_who_wanted_it(world: World, actions: StoryActions) -> None:
    world.track("story-1")
    with world.relay.ledger.write() as tx:
        tx.exec_driver_sql("UPDATE steps SET state = 'done', next_at = NULL")
    acted = actions.fetch_now(key_of(world))
    assert acted.changed
    assert world.queue.jobs
    assert [(deed.who, deed.action, deed.about, deed.remote) for deed in deeds(world)] == [
        ("Ada", "fetch", "story-1", "192.0.2.7")
    ]


def test_a_cancelled_story_is_polled_downloaded_and_delivered_no_more(
    world: World, actions: StoryActions, place: Place
) -> None:
    world.track("story-1")
    deliver_to(world, "blog", "team")
    acted = actions.cancel(key_of(world))
    world.run_for(4 * 86400, 3600)
    assert place.publications == []
    row = world.story("story-1")
    assert (row.state, row.message, row.next_poll_at) == (StoryState.CANCELLED, "cancelled by Ada", None)
    assert {step.state for step in world.steps("story-1").values()} == {StepState.CANCELLED}
    assert "It will not go to blog, team." in acted.sentences
    assert [deed.action for deed in deeds(world)] == ["cancel"]


def test_cancelling_tells_what_went_out_already_and_a_withdrawal_takes_it_back(
    world: World, actions: StoryActions, place: Place
) -> None:
    deliver_to(world, "blog")
    world.run()
    with world.relay.ledger.write() as tx:
        stories.change(tx, 1, START, state=StoryState.SETTLING)
        steps.add(tx, [steps.NewStep(Lane(StepKind.DELIVER, "team"), 1, 1, "all")], START)
    acted = actions.cancel(1)
    assert "It went out already to blog, and stays there until it is withdrawn." in acted.sentences
    assert world.story("story-1").message == "cancelled by Ada; it stays at blog"
    actions.withdraw(1)
    world.run()
    assert [withdrawal.destination for withdrawal in place.withdrawals] == ["blog"]
    assert world.story("story-1").state == StoryState.CANCELLED


def test_a_delivery_that_runs_while_the_story_is_cancelled_is_not_tried_again(
    world: World, actions: StoryActions, place: Place
) -> None:
    deliver_to(world, "blog")

    def cancelled_meanwhile(_: Publication) -> Published:
        told.extend(actions.cancel(1).sentences)
        raise DeliveryFailed("no")

    told: list[str] = []
    place.publish_as = cancelled_meanwhile
    world.run()
    assert "It is being sent to blog at this moment, and may still arrive there." in told
    world.run_for(86400, 600)
    assert len(place.publications) == 1
    assert world.steps("story-1")["deliver/blog"].state == StepState.CANCELLED


def test_a_fetch_that_runs_while_the_story_is_cancelled_changes_nothing(
    world: World, actions: StoryActions
) -> None:
    with scripted_api() as api:
        world.track("story-1")
        actions.cancel(key_of(world))
        with world.relay.ledger.write() as tx:
            tx.exec_driver_sql("UPDATE steps SET state = 'queued'")
        StepMachine(world.relay, HANDLERS).run(1)
        assert api.bodies == []
    assert world.steps("story-1")["fetch"].state == StepState.DONE
    assert world.story("story-1").next_poll_at is None


def test_what_has_ended_is_not_cancelled_and_leaves_no_line(world: World, actions: StoryActions) -> None:
    deliver_to(world, "blog")
    world.run()
    with pytest.raises(ActionRefused, match="is settled"):
        actions.cancel(1)
    assert deeds(world) == []


def test_a_second_cancel_says_that_it_is_cancelled(world: World, actions: StoryActions) -> None:
    world.track("story-1")
    actions.cancel(1)
    with pytest.raises(ActionRefused, match="is cancelled"):
        actions.cancel(1)
    with pytest.raises(ActionRefused, match="was cancelled"):
        actions.fetch_now(1)
    with pytest.raises(ActionRefused, match="was cancelled"):
        actions.replay(1)


def test_a_replay_may_go_where_the_story_never_was(world: World, actions: StoryActions, place: Place) -> None:
    deliver_to(world, "blog")
    world.run()
    acted = actions.replay(1, ["team"])
    world.run()
    assert [publication.destination for publication in place.publications] == ["blog", "team"]
    assert acted.sentences == ("The delivery to team is due: the story was not there yet.",)
    assert [(deed.action, deed.detail) for deed in deeds(world)] == [("replay", "deliver/team made")]


def test_a_second_replay_while_the_first_is_under_way_sends_nothing_twice(
    world: World, actions: StoryActions, place: Place
) -> None:
    deliver_to(world, "blog")
    world.run()
    actions.replay(1)
    acted = actions.replay(1)
    world.run()
    assert len(place.publications) == 2
    assert not acted.changed


def test_wrong_destinations_and_stories_that_are_gone_are_refused(
    world: World, actions: StoryActions
) -> None:
    deliver_to(world, "blog")
    with pytest.raises(ActionRefused, match=r"no destination 'nope'; there are blog, team"):
        actions.replay(1, ["nope"])
    for action in (actions.fetch_now, actions.replay, actions.withdraw, actions.cancel):
        with pytest.raises(ActionRefused, match="not in the ledger any more"):
            action(99)


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with scripted_api() as api:
        yield api


@pytest.fixture
def with_api(actions: StoryActions, api: ScriptedApi) -> StoryActions:
    return replace(actions, story_api=lambda: StoryApi(url=api.url, key="k", http=HttpClient()))


def test_deleting_at_the_story_api_takes_the_id_typed_and_an_ended_story(
    world: World, with_api: StoryActions, api: ScriptedApi
) -> None:
    deliver_to(world, "blog")
    with pytest.raises(ActionRefused, match="cancel it first"):
        with_api.delete_at_api(1, "story-1")
    world.run()
    with pytest.raises(ActionRefused, match="nothing was deleted"):
        with_api.delete_at_api(1, "story-2")
    assert (api.deleted, deeds(world)) == ([], [])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, {"id": "story-1", "status": "success"}), "is deleted at the Story API"),
        ((404, {"code": "NOT_FOUND", "message": "no"}), "there was nothing to delete"),
    ],
)
def test_a_story_is_deleted_at_the_story_api_and_stays_here(
    world: World, with_api: StoryActions, api: ScriptedApi, answer: tuple[int, Any], told: str
) -> None:
    deliver_to(world, "blog")
    world.run()
    api.answer = lambda _: answer
    acted = with_api.delete_at_api(1, " story-1 ")
    assert api.deleted == ["/v2/story/story-1"]
    assert told in acted.sentences[0]
    assert [deed.detail for deed in deeds(world)] == ["asked for", acted.sentences[0]]
    assert world.story("story-1").state == StoryState.SETTLED


def test_a_deletion_without_an_answer_says_that_it_may_have_happened(
    world: World, with_api: StoryActions, api: ScriptedApi
) -> None:
    deliver_to(world, "blog")
    world.run()
    api.answer = lambda _: None
    with pytest.raises(ActionRefused, match="may be deleted all the same"):
        with_api.delete_at_api(1, "story-1")
    assert [deed.detail.split(":")[0] for deed in deeds(world)] == ["asked for", "failed"]


def webhook(world: World) -> None:
    world.relay.intake.receive(
        Delivery(RouteToken("all"), b'{"story_id": "story-1", "status": "success"}', "application/json", "")
    )


def test_a_forgotten_story_leaves_neither_rows_nor_files_and_its_receipts_say_nothing_of_it(
    world: World, actions: StoryActions
) -> None:
    webhook(world)
    deliver_to(world, "blog")
    world.run()
    with world.relay.ledger.write() as tx:
        tx.exec_driver_sql("UPDATE steps SET state = 'done', next_at = NULL WHERE kind = 'fetch'")
        (receipt,) = receipts.of_story(tx, 1)
    assert world.relay.video_store().stat("story-1/r1/video.mp4") is not None
    acted = actions.forget(1)
    assert acted.story is None
    assert acted.sentences[1] == "Its files are deleted."
    with world.relay.ledger.read() as tx:
        assert stories.read(tx, 1) is None
        assert tx.exec_driver_sql("SELECT count(*) FROM steps").scalar() == 0
        kept = receipts.read(tx, receipt.id)
    assert kept is not None
    assert (kept.verdict, kept.received_at) == (receipt.verdict, receipt.received_at)
    assert (kept.body, kept.claimed_id, kept.story) == (b"", None, None)
    assert world.relay.video_store().stat("story-1/r1/video.mp4") is None
    assert [deed.action for deed in deeds(world)] == ["forget"]


def test_a_story_of_which_something_is_to_be_done_is_not_forgotten(
    world: World, actions: StoryActions
) -> None:
    deliver_to(world, "blog")
    with pytest.raises(ActionRefused, match="still to be done"):
        actions.forget(1)
    assert deeds(world) == []
    actions.cancel(1)
    actions.forget(1)
    with pytest.raises(ActionRefused, match="not in the ledger any more"):
        actions.forget(1)


def test_files_that_can_t_be_deleted_now_are_deleted_by_the_next_pruning(
    world: World, actions: StoryActions
) -> None:
    def down() -> ObjectStore:
        raise StoreError("the store is away")

    deliver_to(world, "blog")
    world.run()
    acted = replace(actions, store=down).forget(1)
    assert "the store is away" in acted.sentences[1]
    assert world.relay.video_store().stat("story-1/r1/video.mp4") is not None
    world.relay.pruning.run()
    assert world.relay.video_store().stat("story-1/r1/video.mp4") is None


def test_forgetting_deletes_the_storys_own_files_and_leaves_others_to_the_scheduler(
    world: World, actions: StoryActions
) -> None:
    deliver_to(world, "blog")
    world.run()
    store = world.relay.video_store()
    store.put_bytes("other/r1/video.mp4", b"film", content_type="video/mp4")
    with world.relay.ledger.write() as tx:
        tx.execute(sa.insert(discarded_files).values(prefix="other/r1", discarded_at=world.clock()))
    assert actions.forget(1).sentences[1] == "Its files are deleted."
    assert store.stat("story-1/r1/video.mp4") is None
    assert store.stat("other/r1/video.mp4") is not None
    world.relay.pruning.run()
    assert store.stat("other/r1/video.mp4") is None


def killed_download(world: World, state: StepState) -> ObjectStore:
    """A story whose download was killed after it stored its files, before the ledger heard of them."""
    store = world.relay.video_store()
    with world.relay.ledger.write() as tx:
        stories.add(tx, NewStory("sub-1", Origin.TRACKED, StoryState.OPEN, story_id="story-1"), START)
        values = {"state": StoryState.SETTLING, "revision": 1, "snapshot": {"id": "story-1"}}
        stories.change(tx, 1, START, **values)
        steps.add(tx, [steps.NewStep(Lane(StepKind.DOWNLOAD), 1, 1)], START)
        of = step_table.c.kind == StepKind.DOWNLOAD
        tx.execute(sa.update(step_table).values(state=StepState.DONE, next_at=None))
        tx.execute(sa.update(step_table).where(of).values(state=state))
    for name in ("video.mp4", "captions.vtt"):
        store.put_bytes(f"story-1/r1/{name}", b"film", content_type="video/mp4")
    return store


@pytest.mark.parametrize("state", [StepState.PENDING, StepState.QUEUED])
def test_what_a_killed_download_of_a_cancelled_story_had_stored_is_deleted(
    world: World, actions: StoryActions, state: StepState
) -> None:
    store = killed_download(world, state)
    actions.cancel(1)
    world.relay.pruning.run()
    assert [store.stat(f"story-1/r1/{name}") for name in ("video.mp4", "captions.vtt")] == [None, None]


def test_a_download_that_was_running_when_its_story_was_cancelled_is_cleared_when_it_ends(
    world: World, actions: StoryActions
) -> None:
    store = killed_download(world, StepState.RUNNING)
    actions.cancel(1)
    world.relay.pruning.run()
    assert store.stat("story-1/r1/video.mp4") is not None, "its worker may be at it"
    with world.relay.ledger.write() as tx:
        running = step_table.c.state == StepState.RUNNING
        values = {"state": StepState.PENDING, "next_at": START, "lease_until": None}
        tx.execute(sa.update(step_table).where(running).values(**values))
    world.run()
    world.relay.pruning.run()
    assert store.stat("story-1/r1/video.mp4") is None


def test_what_a_given_up_download_had_stored_goes_with_its_story(world: World, actions: StoryActions) -> None:
    store = killed_download(world, StepState.DEAD)
    with world.relay.ledger.write() as tx:
        stories.change(tx, 1, START, state=StoryState.GIVEN_UP)
    actions.forget(1)
    assert store.stat("story-1/r1/video.mp4") is None


def test_a_cancelled_story_keeps_the_video_that_the_ledger_knows(world: World, actions: StoryActions) -> None:
    deliver_to(world, "blog")
    with world.relay.ledger.write() as tx:
        steps.add(tx, [steps.NewStep(Lane(StepKind.DOWNLOAD), 1, 1)], START)
    actions.cancel(1)
    world.relay.pruning.run()
    assert world.relay.video_store().stat("story-1/r1/video.mp4") is not None
