import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa
from placed import PLACE, Place, fails, finished, run, set_step, step_row, told, world_on
from relayed import World

from handlers import attempt
from service.domain.delivery import DeliveryFailed, Publication, Published
from service.domain.states import Circuit, StepState, StoryState
from service.ledger import lanes
from service.ledger.tables import steps as table
from service.replaying import Replaying
from service.video_store import StoreError


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def world(tmp_path: Path, sqlite_url: str, place: Place) -> Iterator[World]:
    world = world_on(sqlite_url, tmp_path, place)
    yield world
    world.relay.ledger.close()


@pytest.fixture
def either(tmp_path: Path, database_url: str, place: Place) -> Iterator[World]:
    """A world on either database."""
    world = world_on(database_url, tmp_path, place)
    yield world
    world.relay.ledger.close()


def test_the_place_gets_the_story_with_all_that_belongs_to_it(either: World, place: Place) -> None:
    step = finished(either)
    contents: list[tuple[bytes, str | None]] = []

    def publish(publication: Publication) -> Published:
        with publication.files.video() as path:
            contents.append((path.read_bytes(), publication.files.captions()))
        return Published(url="https://place.example/1", remark="as a link", reference={"id": "1"})

    place.publish_as = publish
    run(either, step)
    (publication,) = place.publications
    story = publication.story
    assert (story.id, story.title, story.idea, story.aspect_ratio) == (
        "story-1",
        "Fox",
        "A fox walks home",
        "9:16",
    )
    assert [scene.narration for scene in story.scenes] == ["Once upon a time"]
    assert (publication.route, publication.destination, publication.key) == (
        "all",
        "place",
        "storyrelay-sub-1-place",
    )
    assert contents == [(b"video 1", "WEBVTT\n")]
    assert publication.files.poster() is None
    assert publication.links.poster is None
    assert publication.links.video.startswith("https://relay.example/media/")
    kept = step_row(either, step)
    assert (kept.state, kept.url, kept.remark, kept.reference) == (
        "done", "https://place.example/1", "as a link", {"id": "1"},
    )  # fmt: skip
    assert either.story("story-1").state == StoryState.SETTLED


def test_every_attempt_says_the_same_message(world: World, place: Place) -> None:
    step = finished(world)
    place.publish_as = fails(DeliveryFailed("down"))
    run(world, step)
    world.clock.move(300)
    run(world, step)
    first, second = place.publications
    assert (first.message_id, first.key, first.links, first.published_at) == (
        second.message_id, second.key, second.links, second.published_at,
    )  # fmt: skip


def test_every_attempt_at_a_wanted_repeat_says_the_same_message(either: World, place: Place) -> None:
    step = finished(either)
    run(either, step)
    either.clock.move(60)
    asked_at, relay = either.clock(), either.relay
    Replaying(relay.ledger, relay.settings, relay.configuration, relay.now).replay(1)
    place.publish_as = fails(DeliveryFailed("down"))
    either.clock.move(7)
    run(either, step)
    either.clock.move(300)
    run(either, step)
    _, second, third = place.publications
    assert (second.message_id, second.published_at, second.links) == (
        third.message_id, third.published_at, third.links,
    )  # fmt: skip
    assert second.published_at == asked_at


def test_a_wanted_repeat_is_another_message_to_the_same_publication(world: World, place: Place) -> None:
    step = finished(world)
    run(world, step)
    for _ in range(2):
        world.clock.move(60)
        relay = world.relay
        Replaying(relay.ledger, relay.settings, relay.configuration, relay.now).replay(1)
        run(world, step)
    ids = [publication.message_id for publication in place.publications]
    assert ids == [f"sub-1-{step}", f"sub-1-{step}-1", f"sub-1-{step}-2"]
    assert [publication.repeat for publication in place.publications] == [0, 1, 2]
    assert len({publication.key for publication in place.publications}) == 1
    assert place.publications[1].reference == {"id": "1"}, "it knows what it made before"
    assert world.story("story-1").state == StoryState.SETTLED


def test_what_was_saved_between_the_parts_survives_a_crash(either: World, place: Place) -> None:
    step = finished(either)
    pid = os.fork()
    if pid == 0:
        crash_half_way(either, place, step)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert (step_row(either, step).state, step_row(either, step).reference) == ("running", {"file": "F1"})
    run(either, step)
    assert place.publications == [], "its lease still holds"
    either.clock.move(61)
    run(either, step)
    (publication,) = place.publications
    assert publication.reference == {"file": "F1"}
    assert step_row(either, step).reference == {"id": "1"}
    assert [attempt.outcome for attempt in either.attempts("story-1")] == ["lost", "done"]


def crash_half_way(world: World, place: Place, step: int) -> None:
    """Publishes the first part in this child of fork, and ends."""

    def publish(publication: Publication) -> Published:
        publication.save({"file": "F1"})
        os.kill(os.getpid(), signal.SIGKILL)
        return Published()

    try:
        place.publish_as = publish
        run(world, step)
    finally:
        os._exit(1)


def test_who_lost_the_lease_saves_nothing_more(world: World, place: Place) -> None:
    step = finished(world)

    def publish(publication: Publication) -> Published:
        publication.save({"file": "F1"})
        set_step(world, step, generation=7)  # another worker took it
        publication.save({"file": "F2"})
        raise AssertionError("it went on")

    place.publish_as = publish
    run(world, step)
    assert (step_row(world, step).reference, step_row(world, step).state) == ({"file": "F1"}, "running")


def test_a_failed_attempt_leaves_what_was_saved_to_the_next(world: World, place: Place) -> None:
    step = finished(world)

    def publish(publication: Publication) -> Published:
        publication.save({"file": "F1"})
        raise DeliveryFailed("down")

    place.publish_as = publish
    run(world, step)
    run(world, step)
    assert [publication.reference for publication in place.publications] == [{}, {"file": "F1"}]


def test_a_later_revision_knows_what_the_earlier_ones_made(world: World, place: Place) -> None:
    run(world, finished(world, 1))
    superseded, third = finished(world, 2), finished(world, 3)
    run(world, superseded)
    run(world, third)
    assert [publication.story.revision for publication in place.publications] == [1, 3]
    assert place.publications[1].reference == {"id": "1"}, "also beyond one that was never published"
    assert step_row(world, superseded).remark == "superseded"
    assert world.story("story-1").state == StoryState.SETTLED


def test_a_revision_that_is_late_is_not_published_over_a_later_one(world: World, place: Place) -> None:
    first, second = finished(world, 1), finished(world, 2)
    run(world, second)
    run(world, first)
    assert [publication.story.revision for publication in place.publications] == [2]
    assert step_row(world, first).state == "done"


def test_a_revision_with_the_same_video_takes_no_delivery_away(world: World, place: Place) -> None:
    first = finished(world, 1)
    finished(world, 2, deliver=False)
    run(world, first)
    assert [publication.video.sha256 for publication in place.publications] == ["ab" * 32]


@pytest.mark.parametrize("between", [False, True])
def test_a_revision_waits_while_an_earlier_one_is_being_published(
    world: World, place: Place, between: bool
) -> None:
    first = finished(world, 1)
    if between:
        run(world, finished(world, 2))
        place.publications.clear()
    set_step(world, first, state="running", lease_until=world.clock())
    last = finished(world, 3)
    run(world, last)
    waiting = step_row(world, last)
    assert (place.publications, waiting.state, waiting.attempts, waiting.waits) == ([], "pending", 0, 1)
    assert (waiting.next_at - world.clock()).total_seconds() == 5
    set_step(world, first, state="done", reference={"id": "9"})
    run(world, last)
    assert [publication.story.revision for publication in place.publications] == [3]


def test_a_destination_that_is_configured_no_more_ends_with_a_notice(world: World, place: Place) -> None:
    step = finished(world)
    set_step(world, step, destination="plaec")
    run(world, step)
    kept = step_row(world, step)
    assert kept.state == "dead"
    assert "did you mean 'place'" in kept.last_error
    assert len(told(world)) == 1
    assert world.story("story-1").state == StoryState.SETTLED, "the others had it; this one's end is told"


def test_a_video_that_is_gone_is_said_as_what_it_is(world: World, place: Place) -> None:
    step = finished(world)
    world.relay.video_store().delete("story-1/r1/video.mp4")

    def publish(publication: Publication) -> Published:
        with publication.files.video():
            raise AssertionError("there is none")

    place.publish_as = publish
    run(world, step)
    kept = step_row(world, step)
    assert (kept.state, kept.attempts) == ("dead", 1)
    assert "video can't be read" in kept.last_error
    assert "mistake" not in kept.last_error
    assert "delivery_dead" in told(world)[0]


def test_a_store_that_is_down_is_tried_again(world: World, place: Place) -> None:
    step = finished(world)
    place.publish_as = fails(StoreError("s3://shelf does not answer"))
    run(world, step)
    kept = step_row(world, step)
    assert (kept.state, kept.last_error) == ("pending", "its video can't be read: s3://shelf does not answer")


def test_a_video_that_is_gone_from_the_ledger_ends_at_once(world: World, place: Place) -> None:
    step = finished(world)
    with world.relay.ledger.write() as tx:
        tx.execute(sa.text("DELETE FROM videos"))
    run(world, step)
    assert step_row(world, step).state == "dead"
    assert place.publications == []


FAILURES: Mapping[str, tuple[DeliveryFailed, str, int]] = {
    "down": (DeliveryFailed("503"), "pending", 1),
    "wrong": (DeliveryFailed("404", permanent=True), "dead", 1),
    "refused": (DeliveryFailed("401", refused=True), "pending", 0),
}


@pytest.mark.parametrize("how", FAILURES)
def test_each_failure_has_its_consequence(world: World, place: Place, how: str) -> None:
    error, state, spent = FAILURES[how]
    step = finished(world)
    place.publish_as = fails(error)
    run(world, step)
    kept = step_row(world, step)
    assert (kept.state, kept.attempts) == (state, spent)
    with world.relay.ledger.write() as tx:
        assert lanes.lock(tx, PLACE).circuit == (Circuit.OPEN if how == "refused" else Circuit.CLOSED)
    assert world.story("story-1").state == (StoryState.SETTLED if state == "dead" else StoryState.SETTLING)


def test_a_delivery_that_died_tells_how_to_go_on_and_another_replay_tells_again(
    world: World, place: Place
) -> None:
    step = finished(world)
    place.publish_as = fails(DeliveryFailed("gone for good", permanent=True))
    run(world, step)
    relay = world.relay
    Replaying(relay.ledger, relay.settings, relay.configuration, relay.now).replay(1, ["place"])
    run(world, step)
    assert len(told(world)) == 2
    assert "gone for good" in told(world)[0]
    assert "storyrelay replay story-1 --destination place" in told(world)[0]
    with world.relay.ledger.read() as tx:
        tellers = tx.execute(sa.select(table.c.id, table.c.destination).where(table.c.kind == "notify")).all()
    assert [destination for _, destination in tellers] == ["desk"]
    run(world, tellers[0].id)
    assert [notice.kind for notice in place.notices] == ["delivery_dead"]
    assert place.notices[0].title.startswith("2 deliveries were given up since ")


def test_a_second_job_while_the_first_one_works_does_nothing(world: World, place: Place) -> None:
    step = finished(world)
    place.publish_as = lambda _: (run(world, step), Published())[1]
    run(world, step)
    assert len(place.publications) == 1
    assert step_row(world, step).state == StepState.DONE


def test_an_upload_under_way_shows_its_bytes(
    either: World, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "SENT_SECONDS", 0.01)
    step, shown = finished(either), list[str]()

    def shows(text: str) -> bool:
        running = either.attempts("story-1")[-1]
        shown.append(running.detail)
        return running.detail == text

    def publish(publication: Publication) -> Published:
        for sent, text in ((12_345_678, "12.3 of 60 MB sent"), (60_000_000, "60 of 60 MB sent")):
            publication.sent(sent, 60_000_000)
            wait_until(lambda text=text: shows(text))
        return Published()

    place.publish_as = publish
    run(either, step)
    assert step_row(either, step).state == "done", shown
    assert either.attempts("story-1")[-1].detail == "published"


def test_a_worker_that_died_in_an_upload_tells_how_far_it_was(
    either: World, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "SENT_SECONDS", 0.01)
    step = finished(either)

    def publish(publication: Publication) -> Published:
        publication.sent(1_500_000, 3_000_000)
        wait_until(lambda: either.attempts("story-1")[-1].detail != "")
        set_step(either, step, lease_until=either.clock(), generation=7)  # as if another had taken it
        return Published()

    place.publish_as = publish
    run(either, step)
    either.clock.move(1)
    set_step(either, step, generation=1)
    place.publish_as = Place().publish_as
    run(either, step)
    lost, _ = either.attempts("story-1")
    assert lost.detail == "its worker died or lost its lease: 1.5 of 3 MB sent"


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came true")
