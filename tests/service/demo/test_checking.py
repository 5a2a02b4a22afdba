"""The demo finds what is not as it should be; that all can be well is shown by the demo itself."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.demo.checking import problems
from service.demo.folder import DemoFolder
from service.demo.places import Places, open_places
from service.demo.stories import WISHES, Wish
from service.demo.watching import Seen, look
from service.domain.states import NoticedBy, Origin, StepKind, StoryState
from service.domain.steps import Lane
from service.ledger import Ledger, steps, stories
from service.ledger.migrating import migrate
from service.ledger.stories import NewStory, VideoRow

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SETTLED = WISHES[0]
SILENT = next(wish for wish in WISHES if not wish.webhooks)
FAILED = next(wish for wish in WISHES if wish.ends == StoryState.FAILED)


@pytest.fixture
def folder(tmp_path: Path) -> DemoFolder:
    made = DemoFolder(tmp_path / "demo")
    made.claim()
    (made.path / "var").mkdir()
    made.clear()
    return made


@pytest.fixture
def places(folder: DemoFolder) -> Iterator[Places]:
    with open_places(folder) as opened:
        yield opened


@pytest.fixture
def ledger(sqlite_url: str) -> Iterator[Ledger]:
    made = Ledger(sqlite_url)
    migrate(made)
    yield made
    made.close()


def test_a_story_that_was_never_submitted(places: Places, folder: DemoFolder) -> None:
    assert f"{SETTLED.title}: it was never submitted" in problems([Seen(SETTLED)], places, folder)


def test_a_story_that_ends_otherwise(ledger: Ledger, places: Places, folder: DemoFolder) -> None:
    _add(ledger, SETTLED, state=StoryState.GIVEN_UP, message="nobody was in")
    found = problems(look(ledger, [SETTLED]), places, folder)
    assert any("should be settled, and is given_up (nobody was in)" in one for one in found)
    assert any("slack was not told of it" in one for one in found)
    assert any("4 of its webhooks should have arrived, and 0 have" in one for one in found)


def test_a_wrong_reason(ledger: Ledger, places: Places, folder: DemoFolder) -> None:
    _add(ledger, FAILED, state=StoryState.FAILED, message="no reason")
    found = problems(look(ledger, [FAILED]), places, folder)
    assert any(
        "its message should say 'the rocket could not be drawn', and says 'no reason'" in one for one in found
    )


def test_a_silent_story_that_a_webhook_is_said_to_have_noticed(
    ledger: Ledger, places: Places, folder: DemoFolder
) -> None:
    _add(ledger, SILENT, state=StoryState.SETTLED, noticed_by=NoticedBy.WEBHOOK)
    found = problems(look(ledger, [SILENT]), places, folder)
    assert any("should have been noticed by poll, and was by webhook" in one for one in found)


def test_places_that_lack_what_the_ledger_says_they_have(
    ledger: Ledger, places: Places, folder: DemoFolder
) -> None:
    key = _add(ledger, SETTLED, state=StoryState.SETTLED, story_id="abc", revision=1)
    with ledger.write() as tx:
        video = VideoRow(key, 1, "abc/r1", "0" * 64, 1, 4.0, 320, 240, "h264", "aac", False, False)
        stories.add_video(tx, video, NOW)
        steps.add(tx, [steps.NewStep(Lane(StepKind.DELIVER, "mail"), key)], NOW)
    found = problems(look(ledger, [SETTLED]), places, folder)
    for text in (
        "it was not sent to slack",
        "it was sent to mail, which its routes do not name",
        "slack should have it 1×, and has it 0×",
        "webhook should have it 1×, and has it 0×",
        "archive should have its video in",
        "slack should have its video as a file",
    ):
        assert any(text in one for one in found), text


def _add(ledger: Ledger, wish: Wish, **values: Any) -> int:
    new = NewStory("sub", Origin.SUBMITTED, StoryState.OPEN, title=wish.title, request={"title": wish.title})
    with ledger.write() as tx:
        key = stories.add(tx, new, NOW)
        assert key is not None
        stories.change(tx, key, NOW, **values)
    return key
