"""What may be done with one story from the command line beside replaying and withdrawing it."""

import pytest

from service.domain.states import StepState, StoryState
from service.ledger import people, stories


def deeds(home):
    with home.ledger.read() as tx:
        return [(deed.who, deed.action, deed.about) for _, deed in people.deeds(tx, 20)][::-1]


def found(home, story_id):
    with home.ledger.read() as tx:
        return stories.find(tx, story_id)


def test_a_story_is_asked_for_at_once(home, book):
    book.story("story-1")
    told = home.json("fetch", "story-1")
    assert (told["changed"], told["story"]["id"]) == (True, "story-1")
    assert "is asked at once" in told["told"][0]
    assert "is asked at once" in home.done("fetch", "story-1").stderr


def test_a_story_is_stopped_when_somebody_is_sure(home, book):
    book.story("story-1", title="A \x1b[31mfox")
    asked = home.run("cancel", "story-1", stdin="n\n")
    assert asked.exit_code == 1
    assert "Stop the story story-1 (A" in asked.stderr
    assert "\x1b" not in asked.stderr
    assert found(home, "story-1").state == StoryState.OPEN
    assert home.run("cancel", "story-1", stdin="y\n").exit_code == 0
    assert found(home, "story-1").state == StoryState.CANCELLED
    again = home.run("cancel", "story-1", "--yes")
    assert again.exit_code == 1
    assert "there is nothing to cancel" in again.stderr
    assert deeds(home) == [("shell", "cancel", "story-1")]


def test_a_story_is_forgotten_here(home, book):
    book.settled("story-1", {"shelf": StepState.DONE})
    assert home.run("forget", "story-1", stdin="n\n").exit_code == 1
    assert found(home, "story-1") is not None
    told = home.json("forget", "story-1", "--yes")
    assert (told["changed"], told["story"]) == (True, None)
    assert found(home, "story-1") is None
    missing = home.run("forget", "story-1", "--yes")
    assert missing.exit_code == 1
    assert "story-1" in missing.stderr


def test_what_is_under_way_is_not_forgotten(home, book):
    book.story("story-1")
    refused = home.run("forget", "story-1", "--yes")
    assert refused.exit_code == 1
    assert "cancel it, or wait" in refused.stderr


@pytest.mark.parametrize(("answers", "code"), [("n\n", 1), ("y\nstory\n", 1), ("y\nstory-1\n", 0)])
def test_at_the_api_it_asks_twice(online, book, answers, code):
    book.settled("story-1", {"shelf": StepState.DONE})
    result = online.run("forget", "story-1", "--at-the-api", stdin=answers)
    assert result.exit_code == code
    assert found(online, "story-1") is not None, "it stays here"
    assert [action for _, action, _ in deeds(online)] == ["delete_at_api"] * (2 if code == 0 else 0)


def test_programs_write_the_whole_id_to_be_sure(online, book):
    book.settled("story-1", {"shelf": StepState.DONE})
    refused = online.run("forget", "story-", "--at-the-api", "--yes")
    assert refused.exit_code == 1
    assert "is not the story's id" in refused.stderr
    told = online.json("forget", "story-1", "--at-the-api", "--yes")
    assert told["changed"] is True
