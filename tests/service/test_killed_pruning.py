"""SIGKILL while a story is forgotten and while old ones are pruned: another run ends it, and takes nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from killed import after, die, killed_at
from relayed import World, make_world

from service import story_actions
from service.domain.people import Doer
from service.domain.states import StoryState
from service.intake import Delivery
from service.ledger import forgetting, forgotten, people, pruning_places, receipts, stories
from service.pruning import Pruning
from service.video_store.folder import FolderStore
from service.webhook_url import RouteToken
from tests.service.test_pruning import ALL, FILES, TOML, files, rows, story

ADA = Doer("Ada", "192.0.2.7")
Point = tuple[Any, str, Callable[..., Any]]


@pytest.fixture
def world(tmp_path: Path, sqlite_url: str) -> Iterator[World]:
    """With one story that is to go, and two that are to stay: one that is not over, and one of whom nobody spoke."""
    world = make_world(
        tmp_path, sqlite_url, f'{TOML}[[routes]]\nname = "all"\ndestinations = ["shelf"]\n', ALL
    )
    story(world, "story-1")
    story(world, "story-10", StoryState.SETTLING, "pending")
    world.clock.move(86400 * 11)
    story(world, "story-2")
    yield world
    world.relay.ledger.close()


def keys(world: World) -> list[str]:
    with world.relay.ledger.read() as tx:
        return [name for name in ("story-1", "story-10", "story-2") if stories.find(tx, name) is not None]


def gone_alone(world: World) -> None:
    """The one story is gone with its files, stays away, and the others have all that they had."""
    assert keys(world) == ["story-10", "story-2"]
    assert files(world, "story-1") == []
    for other in ("story-10", "story-2"):
        assert files(world, other) == list(FILES)
    with world.relay.ledger.read() as tx:
        assert forgetting.discarded(tx, 5) == []
    webhook = Delivery(RouteToken("all"), b'{"id": "story-1", "status": "success"}', "application/json", "")
    world.relay.intake.receive(webhook)
    world.run()
    assert keys(world) == ["story-10", "story-2"], "what was forgotten does not come back"
    assert files(world, "story-1") == []


WHOLE: dict[str, Point] = {
    "within the transaction": (forgotten, "note", die),
    "before the commit": (forgetting, "forget_story", after(forgetting.forget_story)),
}
"""Points at which nothing has happened yet."""

HALF: dict[str, Point] = {
    "after the first file": (FolderStore, "delete", after(FolderStore.delete)),
    "after the last file": (forgetting, "cleared", die),
}
"""Points at which the story is gone, and its files are not, or nobody knows that they are."""

FORGETTING: dict[str, Point] = {
    **WHOLE,
    "before its receipts": (receipts, "forget_story", die),
    "before the audit log": (people, "note_deed", die),
    "before the files": (story_actions, "delete_files", die),
    **HALF,
}


@pytest.mark.parametrize("point", FORGETTING)
def test_killed_while_forgetting(world: World, point: str) -> None:
    key, before = world.story("story-1").id, rows(world)
    killed_at(*FORGETTING[point], act=lambda: world.relay.story_actions(ADA).forget(key))
    if "story-1" in keys(world):
        assert (rows(world), files(world, "story-1")) == (before, list(FILES)), "whole or not at all"
        world.relay.story_actions(ADA).forget(key)
    else:
        with world.relay.ledger.read() as tx:
            assert forgetting.discarded(tx, 5) == ["story-1/r1"], "what is left is listed"
        world.relay.pruning.clear_files(lambda: False)
    with world.relay.ledger.read() as tx:
        assert [deed.action for _, deed in people.deeds(tx, 50)].count("forget") == 1
    gone_alone(world)


PRUNING: dict[str, Point] = {
    **WHOLE,
    "when a first part of it is pruned": (Pruning, "_prune_story", after(Pruning._prune_story)),
    "before the files": (Pruning, "clear_files", die),
    **HALF,
    "at its end": (forgetting, "forget_cleared", die),
}


@pytest.mark.parametrize("point", PRUNING)
def test_killed_while_pruning(world: World, point: str) -> None:
    killed_at(*PRUNING[point], act=world.relay.pruning.run)
    if "story-1" in keys(world):
        with world.relay.ledger.read() as tx:
            video = stories.read_video(tx, world.story("story-1").id, 1)
            assert video is not None
            is_listed = forgetting.discarded(tx, 5) == ["story-1/r1"]
        assert (video.removed_at is not None) == is_listed, "no row points to a file that is to go"
    world.relay.pruning.run()
    gone_alone(world)


SCHEDULED: dict[str, Point] = {
    "before its place is kept": (pruning_places, "move", die),
    "before the day counts as pruned": (pruning_places, "through", die),
}


@pytest.mark.parametrize("point", SCHEDULED)
def test_a_killed_scheduler_prunes_on_at_once(world: World, point: str) -> None:
    stops = point == "before its place is kept"
    killed_at(*SCHEDULED[point], act=lambda: world.relay.pruning.advance(lambda: stops))
    world.relay.pruning.advance(lambda: False)
    world.relay.pruning.clear_files(lambda: False)
    gone_alone(world)
