from datetime import timedelta

from service.domain.states import Origin, StepKind, StepState, StoryState


def test_silent_stories_are_asked_for_and_old_ones_given_up(home, book, now):
    silent = book.story("silent", next_poll_at=now - timedelta(seconds=1))
    old = book.story(
        "old", created_at=now - timedelta(days=9), polls=3, next_poll_at=now - timedelta(seconds=1)
    )
    book.story("fresh", next_poll_at=now + timedelta(hours=1))
    book.story(
        "lost",
        StoryState.UNCONFIRMED,
        story_id=None,
        origin=Origin.SUBMITTED,
        created_at=now - timedelta(hours=2),
    )
    assert home.json("reconcile") == {
        "polled": ["silent"], "given_up": ["old"], "unconfirmed": ["sub-lost"], "enqueued": 0,
    }  # fmt: skip
    assert home.story(old).state == StoryState.GIVEN_UP
    assert home.steps(silent)["fetch"].state == StepState.PENDING


def test_people_are_told_what_was_found(home, book, now):
    book.story("silent", next_poll_at=now - timedelta(seconds=1))
    result = home.done("reconcile")
    assert "silent" in result.stdout
    assert "the Story API is asked" in result.stdout
    assert "1 story found, 0 steps enqueued" in result.stderr
    assert "Nothing is lost" in result.stderr


def test_nothing_found_is_nothing_printed(home):
    result = home.done("reconcile")
    assert result.stdout == ""
    assert "0 stories found" in result.stderr


def test_due_steps_reach_a_queue_that_runs(home, book, valkey, now):
    key = book.story("silent", next_poll_at=now - timedelta(seconds=1))
    assert home.json("reconcile", REDIS_URL=valkey)["enqueued"] == 1
    assert home.steps(key)["fetch"].state == StepState.QUEUED


def test_the_queue_of_a_running_up_is_found(home, book, valkey, now):
    book.story("silent", next_poll_at=now - timedelta(seconds=1))
    (home.path / "var" / "redis_url").write_text(f"{valkey}\n")
    result = home.done("reconcile", "--json")
    assert '"enqueued": 1' in result.stdout
    assert "Nothing is lost" not in result.stderr


def test_lost_jobs_are_brought_back(home, book, valkey, now):
    key = book.story("story-1")
    book.step(key, StepKind.FETCH, "", StepState.QUEUED, queued_at=now - timedelta(hours=1))
    assert home.json("reconcile", REDIS_URL=valkey)["enqueued"] == 1
