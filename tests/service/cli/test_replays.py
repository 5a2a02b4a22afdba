import pytest

from service.domain.states import Circuit, StepKind, StepState, StoryState
from service.domain.steps import Lane, Opens
from service.ledger import lanes


def test_all_deliveries_of_a_story_are_due_again(home, book):
    key = book.settled("story-1", {"shelf": StepState.DONE, "attic": StepState.DEAD})
    printed = home.json("replay", "story-1")
    assert printed["actions"] == [
        {"kind": "deliver", "destination": "shelf", "done": "repeated"},
        {"kind": "deliver", "destination": "attic", "done": "repeated"},
    ]
    assert printed["story"]["state"] == "settling"
    assert {name: row.state for name, row in home.steps(key).items() if row.kind == "deliver"} == {
        "deliver/shelf": "pending",
        "deliver/attic": "pending",
    }


def test_people_are_told_what_was_done_and_that_no_queue_runs(home, book):
    book.settled("story-1", {"shelf": StepState.DEAD})
    result = home.done("replay", "stor", "--destination", "shelf", "--destination", "attic")
    assert "deliver to shelf" in result.stdout
    assert "due again" in result.stdout
    assert "the destination did not have it yet" in result.stdout
    assert "Nothing is lost" in result.stderr
    assert "storyrelay show story-1" in result.stderr


def test_a_destination_that_is_not_configured_is_wrong_use(home, book):
    key = book.settled("story-1", {"shelf": StepState.DONE, "gone": StepState.DEAD})
    for name, near in (("shlf", "'shelf'"), ("gone", "attic, shelf")):
        result = home.run("replay", "story-1", "--destination", "shelf", "--destination", name)
        assert result.exit_code == 2
        assert near in result.stderr
    assert home.story(key).state == StoryState.SETTLED


def test_a_paused_destination_is_told(home, book, now):
    book.settled("story-1", {"shelf": StepState.DEAD})
    lane = Lane(StepKind.DELIVER, "shelf")
    with home.ledger.write() as tx:
        lanes.open_circuit(
            tx, lane, Opens("refused", "wrong \x1b[31mkey"), now, first_delay=60, fingerprint=None
        )
        lanes.switch_off(tx, lane)
    result = home.done("replay", "story-1", "--json")
    assert "switched off: wrong" in result.stderr
    assert "storyrelay send-test shelf" in result.stderr
    assert "\x1b" not in result.stderr
    with home.ledger.read() as tx:
        assert [state.circuit for state in lanes.all_lanes(tx) if state.lane == lane] == [Circuit.OFF]


def test_a_failed_story_is_asked_for_again(home, book):
    key = book.story("story-1", StoryState.FAILED, message="no more ideas")
    result = home.done("replay", "story-1")
    assert "ask the Story API" in result.stdout
    assert home.story(key).state == StoryState.OPEN
    assert home.steps(key)["fetch"].state == "pending"


@pytest.mark.parametrize(
    ("state", "values", "said"),
    [
        (StoryState.CANCELLED, {}, "cancelled"),
        (StoryState.UNCONFIRMED, {"story_id": None}, "storyrelay track"),
    ],
)
def test_what_can_t_be_replayed_is_told(home, book, state, values, said):
    book.story("story-1", state, **values)
    result = home.run("replay", "sub-story-1", "--json")
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stdout == ""


def test_what_is_under_way_is_left_alone_and_told(home, book):
    book.settled("story-1", {"shelf": StepState.QUEUED})
    result = home.run("replay", "story-1")
    assert result.exit_code == 1
    assert "left alone" in result.stdout


@pytest.mark.parametrize(
    "words", [(), ("nothing-like-it",), ("story-1", "extra"), ("story-1", "--destination")]
)
def test_wrong_use(home, book, words):
    book.settled("story-1", {"shelf": StepState.DONE})
    result = home.run("replay", *words)
    assert result.exit_code in (1, 2)
    assert result.stdout == ""
    assert "Error" in result.stderr


def test_many_stories_are_looked_at_and_then_begun(home, book):
    key = book.settled("story-1", {"shelf": StepState.DEAD})
    book.settled("story-2", {"shelf": StepState.DONE})
    looked = home.json("replay", "--from", "1d", "--state", "dead", "--dry-run")
    assert (looked["total"], looked["replayed"], looked["skipped"]) == (1, 1, {})
    assert looked["examples"] == [{"story": "story-1", "then": ["shelf"], "now": ["shelf"], "why_not": None}]
    told = home.done("replay", "--from", "1d", "--state", "dead", "--dry-run")
    assert "1 would be replayed" in told.stderr
    assert "story-1" in told.stdout
    assert home.steps(key)["deliver/shelf"].state == "dead"
    begun = home.json("replay", "--from", "1d", "--state", "dead")
    assert (begun["state"], begun["total"], begun["who"]) == ("running", 1, "shell")
    assert home.steps(key)["deliver/shelf"].state == "dead", "the scheduler does it"
    overlapping = home.run("replay", "--from", "2026-01-01", "--state", "dead")
    assert overlapping.exit_code == 2
    assert "bulk replay 1 of shell is at some of these stories" in overlapping.stderr
    beside = home.done("replay", "--from", "2026-01-01", "--to", "2026-01-02", "--state", "dead")
    assert "The scheduler works it off" in beside.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "which story"),
        (("story-1", "--state", "dead"), "which story"),
        (("--state", "dead"), "--from and --state"),
        (("--from", "1d"), "--from and --state"),
        (("--from", "soon", "--state", "dead"), "no time"),
        (("--from", "1h", "--to", "2h", "--state", "dead"), "before it begins"),
        (
            ("--from", "1h", "--state", "dead", "--destination", "shelf", "--destination", "attic"),
            "one --destination",
        ),
        (("--from", "1h", "--state", "given_up", "--by", "finished"), "never finished"),
    ],
)
def test_a_choice_of_many_that_makes_no_sense_is_wrong_use(home, words, said):
    result = home.run("replay", *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_destination_that_somebody_paused_is_told(home, book, now):
    book.settled("story-1", {"shelf": StepState.DEAD})
    with home.ledger.write() as tx:
        lanes.pause(tx, Lane(StepKind.DELIVER, "shelf"), "ada", now)
    result = home.done("replay", "story-1")
    assert "paused by ada" in result.stderr
    assert "once somebody resumes it" in result.stderr
