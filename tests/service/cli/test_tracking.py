import pytest

from service.domain.states import Origin, StepState, StoryState
from service.ledger import stories


def test_a_story_of_others_is_adopted_and_fetched(home):
    printed = home.json("track", "their-story", "--route", "both")
    assert printed["known"] is False
    assert (printed["story"]["id"], printed["story"]["state"], printed["story"]["route"]) == (
        "their-story",
        "open",
        "both",
    )
    with home.ledger.read() as tx:
        row = stories.find(tx, "their-story")
    assert row is not None
    assert row.origin == Origin.TRACKED
    assert home.steps(row.id)["fetch"].state == StepState.PENDING


def test_a_known_story_is_only_fetched_anew(home, book):
    key = book.settled("story-1", {"shelf": StepState.DONE})
    printed = home.json("track", " story-1 ")
    assert printed["known"] is True
    assert home.story(key).state == StoryState.SETTLED
    assert home.steps(key)["fetch"].state == StepState.PENDING
    assert "known already" in home.done("track", "story-1").stderr


def test_tracking_needs_no_keys_and_no_queue(home):
    result = home.done("track", "their-story", SECRET_KEYS="", STORY_API_KEY="")
    assert "Nothing is lost" in result.stderr


def test_tracking_goes_on_when_the_queue_is_down(home):
    result = home.done("track", "their-story", REDIS_URL="redis://:hunter2@127.0.0.1:1/0")
    assert "Nothing is lost" in result.stderr
    assert "hunter2" not in result.output


@pytest.mark.parametrize("name", ["", "  ", ".", "..", "a\x00b", "x" * 201, "a\nb", "\x1b[2J", "a\udcffb"])
def test_what_can_t_be_an_id_is_refused(home, name):
    result = home.run("track", name)
    assert result.exit_code == 2
    assert "can't be a story's id" in result.stderr
    assert "\x1b" not in result.stderr
    assert home.json("stories")["stories"] == []


def test_an_unknown_route_adopts_nothing(home):
    result = home.run("track", "their-story", "--route", "al")
    assert result.exit_code == 2
    assert "did you mean 'all'" in result.stderr
    assert home.json("stories")["stories"] == []
