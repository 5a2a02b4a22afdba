import pytest

from service.domain.states import Origin, StepState, StoryState
from service.ledger import stories
from service.outbound_http import HttpClient
from service.story_api import IdeaToVideo, StoryApi


@pytest.fixture
def theirs(emulator):
    """The id of a story that another program submitted."""
    with HttpClient() as http:
        api = StoryApi(url=emulator.url, key=emulator.key, http=http)
        return api.submit(IdeaToVideo(idea="Theirs", scene_count=1, scene_duration=1)).id


def test_a_story_of_others_is_adopted_and_fetched(online, theirs):
    printed = online.json("track", theirs, "--route", "both")
    assert printed["known"] is False
    story = printed["story"]
    assert (story["id"], story["state"], story["route"]) == (theirs, "open", "both")
    with online.ledger.read() as tx:
        row = stories.find(tx, theirs)
    assert row is not None
    assert row.origin == Origin.TRACKED
    assert online.steps(row.id)["fetch"].state == StepState.PENDING
    assert online.json("track", theirs)["known"] is True


def test_what_the_story_api_does_not_have_is_not_adopted(online):
    result = online.run("track", "theirs")
    assert result.exit_code == 1
    assert "no such story" in result.stderr
    assert online.json("stories")["stories"] == []


@pytest.mark.parametrize(("key", "code", "said"), [("", 2, "STORY_API_KEY"), ("a-key", 1, "127.0.0.1:1")])
def test_what_can_t_be_seen_is_adopted_only_as_unseen(home, key, code, said):
    result = home.run("track", "their-story", STORY_API_KEY=key)
    assert result.exit_code == code
    assert said in result.stderr
    assert "--unseen" in result.stderr
    assert home.json("stories")["stories"] == []
    assert home.json("track", "their-story", "--unseen", STORY_API_KEY=key)["story"]["id"] == "their-story"


def test_a_known_story_is_only_fetched_anew(home, book):
    key = book.settled("story-1", {"shelf": StepState.DONE})
    printed = home.json("track", " story-1 ")
    assert printed["known"] is True
    assert home.story(key).state == StoryState.SETTLED
    assert home.steps(key)["fetch"].state == StepState.PENDING
    assert "known already" in home.done("track", "story-1").stderr


def test_tracking_unseen_needs_no_keys_and_no_queue(home):
    result = home.done("track", "their-story", "--unseen", SECRET_KEYS="", STORY_API_KEY="")
    assert "Nothing is lost" in result.stderr


def test_tracking_goes_on_when_the_queue_is_down(home):
    result = home.done("track", "their-story", "--unseen", REDIS_URL="redis://:hunter2@127.0.0.1:1/0")
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
