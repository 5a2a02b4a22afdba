"""The list of stories over the API: found by all that the dashboard finds them by, page by page."""

from datetime import timedelta

import pytest
from relayed import START, World

from service.domain.states import Origin, StepKind, StoryState
from service.domain.steps import Lane
from service.ledger import steps, stories
from service.ledger.stories import NewStory


@pytest.fixture
def several(world: World) -> None:
    """Three stories, a day apart."""
    with world.relay.ledger.write() as tx:
        for day, name in enumerate(("one", "two", "three")):
            new = NewStory(
                f"sub-{name}",
                Origin.SUBMITTED,
                StoryState.FAILED if name == "two" else StoryState.SETTLED,
                story_id=name,
                title=f"The {name} lighthouse",
                route="all" if name == "one" else None,
                labels={"team": "brand"} if name == "three" else {},
            )
            key = stories.add(tx, new, START + timedelta(days=day))
            assert key is not None
            if name != "two":
                steps.add(tx, [steps.NewStep(Lane(StepKind.DELIVER, "shelf"), key, 1, "all")], START)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", ["three", "two", "one"]),
        ("?state=failed&state=open", ["two"]),
        ("?route=all", ["three", "one"]),
        ("?destination=shelf", ["three", "one"]),
        ("?destination=nowhere", []),
        ("?label=team%3Dbrand", ["three"]),
        ("?label=team%3D", []),
        ("?since=2026-03-02T12:00:00Z", ["three", "two"]),
        ("?since=2026-03-02T12:00:00Z&until=2026-03-03T13:00:00%2B01:00", ["two"]),
        ("?text=light+two", ["two"]),
        ("?text=three", ["three"]),
        ("?text=light&state=settled&label=team%3Dbrand&route=all&destination=shelf", ["three"]),
    ],
)
def test_all_that_is_asked_for_must_hold(program, several: None, query: str, wanted: list[str]) -> None:
    answer = program.get(f"/stories{query}").get_json()
    assert ([each["id"] for each in answer["items"]], answer["next"]) == (wanted, None)


def test_pages_go_on_with_the_filter(program, several: None) -> None:
    found, query = [], "?text=lighthouse&limit=1"
    while query:
        answer = program.get(f"/stories{query}")
        body = answer.get_json()
        found += [each["id"] for each in body["items"]]
        query = f"?text=lighthouse&limit=1&after={body['next']}" if body["next"] else ""
        assert ('rel="next"' in answer.headers.get("Link", "")) == bool(query)
    assert found == ["three", "two", "one"]


@pytest.mark.parametrize(
    "query",
    [
        "?label=team",
        "?since=yesterday",
        "?since=2026-03-01T12:00",
        "?until=9999-01-01T00:00:00Z",
        "?route=",
        "?text=",
    ],
)
def test_what_makes_no_sense_is_refused(program, query: str) -> None:
    answer = program.get(f"/stories{query}")
    assert answer.status_code == 422
    assert [each["field"] for each in answer.get_json()["errors"]] == [query[1:].partition("=")[0]]
