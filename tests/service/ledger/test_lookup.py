from datetime import UTC, datetime

import pytest

from service.domain.states import Origin, StoryState
from service.ledger import Ledger, stories
from service.ledger.lookup import named
from service.ledger.stories import NewStory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def shelf(ledger: Ledger) -> Ledger:
    with ledger.write() as tx:
        for submission, story in (
            ("sub-one", "story-1"),
            ("sub-two", "story-12"),
            ("wait_ing%", None),
            ("story-1x", "éclair"),
        ):
            stories.add(tx, NewStory(submission, Origin.SUBMITTED, StoryState.OPEN, story_id=story), NOON)
    return ledger


def found(ledger: Ledger, name: str, limit: int = 10) -> list[str]:
    with ledger.read() as tx:
        return [row.submission_id for row in named(tx, name, limit)]


def test_an_exact_id_is_the_only_one(shelf):
    assert found(shelf, "story-1") == ["sub-one"]
    assert found(shelf, "sub-two") == ["sub-two"]
    assert found(shelf, "story-1x") == ["story-1x"]


def test_a_beginning_names_all_that_begin_so_newest_first(shelf):
    assert found(shelf, "story-") == ["story-1x", "sub-two", "sub-one"]
    assert found(shelf, "story-", limit=2) == ["story-1x", "sub-two"]
    assert found(shelf, "sub-o") == ["sub-one"]
    assert found(shelf, "écla") == ["story-1x"]


@pytest.mark.parametrize("name", ["sto", "", "STORY-1", "wait-ing", "sub%", "____", "story-1234"])
def test_too_short_wildcards_and_another_case_name_nothing(shelf, name):
    assert found(shelf, name) == []


def test_wildcards_are_letters_like_others(shelf):
    assert found(shelf, "wait_ing%") == ["wait_ing%"]
    assert found(shelf, "wait_") == ["wait_ing%"]
