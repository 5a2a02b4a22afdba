import pytest

from service.domain.states import StepState, StoryState


def test_each_destination_that_has_it_is_asked_to_let_it_go(home, book):
    key = book.settled("story-1", {"shelf": StepState.DONE, "attic": StepState.DEAD})
    printed = home.json("withdraw", "story-1")
    assert printed["actions"] == [
        {"destination": "shelf", "done": "due"},
        {"destination": "attic", "done": "due"},
    ]
    assert printed["story"]["state"] == "settling"
    rows = home.steps(key)
    assert {rows[f"deliver/{name}"].intent for name in ("shelf", "attic")} == {"withdraw"}


def test_people_are_told_what_happens_and_show_tells_it(home, book):
    book.settled("story-1", {"shelf": StepState.DONE})
    result = home.done("withdraw", "stor", "--destination", "shelf", "--destination", "attic")
    assert "asked to let the story go" in result.stdout
    assert "never went there" in result.stdout
    assert "Nothing is lost" in result.stderr
    assert "to be withdrawn" in home.done("show", "story-1").stdout


def test_what_had_not_begun_is_cancelled_and_the_list_says_so(home, book):
    key = book.settled("story-1", {"shelf": StepState.PENDING}, title="Fox")
    assert home.json("withdraw", "story-1")["actions"] == [{"destination": "shelf", "done": "cancelled"}]
    assert home.steps(key)["deliver/shelf"].state == "cancelled"
    assert home.story(key).state == StoryState.SETTLED
    assert "(withdrawn)" in home.done("stories").stdout
    assert "withdrawn before it was published" in home.done("show", "story-1").stdout
    assert home.json("withdraw", "story-1")["actions"] == [{"destination": "shelf", "done": "withdrawn"}]


def test_a_destination_that_is_configured_no_more_is_left_out(home, book):
    key = book.settled("story-1", {"gone": StepState.DONE})
    result = home.run("withdraw", "story-1")
    assert result.exit_code == 1
    assert "no longer in storyrelay.toml" in result.stdout
    assert home.story(key).state == StoryState.SETTLED


@pytest.mark.parametrize(
    ("words", "code"), [((), 2), (("nothing-like-it",), 1), (("story-1", "--destination", "shlf"), 2)]
)
def test_wrong_use(home, book, words, code):
    book.settled("story-1", {"shelf": StepState.DONE})
    result = home.run("withdraw", *words)
    assert (result.exit_code, result.stdout) == (code, "")


def test_a_story_that_went_nowhere_says_so(home, book):
    book.settled("story-1", {})
    result = home.run("withdraw", "story-1")
    assert result.exit_code == 1
    assert "went to no destination" in result.stderr
