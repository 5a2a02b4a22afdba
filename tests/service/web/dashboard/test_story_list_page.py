"""The list of stories as people see it: found, turned, shared, renewed."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from dashboard_client import SignIn
from flask.testing import FlaskClient
from relayed import START, World

from service.domain.people import Role
from service.domain.states import Origin, StepKind, StepState, StoryState
from service.domain.steps import Lane
from service.ledger import steps, stories
from service.ledger.stories import NewStory
from service.ledger.tables import steps as step_table
from service.web.dashboard import story_list_page

HOSTILE = "<script>alert(1)</script>"


def add(world: World, number: int, state: StoryState = StoryState.SETTLED, **named: Any) -> int:
    with world.relay.ledger.write() as tx:
        new = NewStory(f"sub-{number}", Origin.SUBMITTED, state, f"story-{number}", **named)
        key = stories.add(tx, new, START)
    assert key is not None
    return key


def deliver(world: World, key: int, destination: str, state: StepState, url: str | None) -> None:
    with world.relay.ledger.write() as tx:
        steps.add(tx, [steps.NewStep(Lane(StepKind.DELIVER, destination), key, 1, "all")], START)
        here = (step_table.c.story == key, step_table.c.destination == destination)
        tx.execute(sa.update(step_table).where(*here).values(state=state, url=url))


def shown(client: FlaskClient, address: str) -> list[str]:
    """The ids in the list, from above."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return re.findall(r'<span class="id quiet">(story-\d+)</span>', answer.text)


def link(client: FlaskClient, address: str, rel: str) -> str | None:
    found = re.search(f'<a rel="{rel}" href="([^"]+)"', client.get(address).text)
    return found[1].replace("&amp;", "&") if found else None


def test_a_line_says_what_became_of_a_story_and_escapes_what_others_wrote(
    signed_in: SignIn, world: World
) -> None:
    key = add(world, 1, title=HOSTILE, route="all")
    deliver(world, key, "shelf", StepState.DONE, "https://shelf.example.com/1")
    deliver(world, key, "attic", StepState.DEAD, "javascript:alert(1)")
    page = signed_in(Role.VIEWER).get("/stories").text
    assert "&lt;script&gt;" in page
    assert HOSTILE not in page
    assert "javascript:" not in page
    assert 'href="https://shelf.example.com/1"' in page
    assert 'href="/stories/story-1"' in page
    assert page.index("✓") < page.index("✗")


def test_without_a_title_the_idea_begins_the_line(signed_in: SignIn, world: World) -> None:
    add(world, 1, request={"idea": "A fox walks home"})
    assert ">A fox walks home</a>" in signed_in(Role.VIEWER).get("/stories").text


def test_an_empty_list_says_how_a_story_comes_in_and_an_empty_result_does_not(signed_in: SignIn) -> None:
    client = signed_in(Role.VIEWER)
    assert "storyrelay submit" in client.get("/stories").text
    answer = client.get("/stories?state=failed").text
    assert "No story fits this filter" in answer
    assert "hx-get" not in answer


def test_pages_are_turned_both_ways_and_keep_the_filter(
    signed_in: SignIn, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story_list_page, "LINES", 2)
    for number in range(1, 8):
        add(world, number, StoryState.FAILED if number % 2 else StoryState.SETTLED)
    client = signed_in(Role.VIEWER)
    first = "/stories?state=failed"
    assert shown(client, first) == ["story-7", "story-5"]
    assert link(client, first, "prev") is None
    second = link(client, first, "next")
    assert second is not None
    assert "state=failed" in second
    assert shown(client, second) == ["story-3", "story-1"]
    assert link(client, second, "next") is None
    back = link(client, second, "prev")
    assert back is not None
    assert shown(client, back) == ["story-7", "story-5"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("text=zepp", ["story-2"]),
        ("text=story-1", ["story-1"]),
        ("label=team%3Dbrand", ["story-1"]),
        ("destination=attic", ["story-2"]),
        ("route=all", ["story-2"]),
        ("state=unfinished", ["story-3"]),
        ("from=2026-03-01T12:00&to=2026-03-01T12:01", ["story-3", "story-2", "story-1"]),
        ("to=2026-03-01T12:00", []),
    ],
)
def test_each_field_finds_its_stories(
    signed_in: SignIn, world: World, query: str, expected: list[str]
) -> None:
    add(world, 1, labels={"team": "brand"})
    deliver(world, add(world, 2, title="A zeppelin"), "attic", StepState.DONE, None)
    add(world, 3, StoryState.OPEN)
    assert shown(signed_in(Role.VIEWER), f"/stories?{query}") == expected


@pytest.mark.parametrize(
    "query", ["before=x", "before=-1", f"after={2**63}", "before=٣", "from=soon", "state=gone", "label=team"]
)
def test_what_an_address_can_not_mean_is_said(signed_in: SignIn, query: str) -> None:
    answer = signed_in(Role.VIEWER).get(f"/stories?{query}")
    assert answer.status_code == 400
    assert re.search(r"<p[^>]*>[A-Z“][^<]+\.</p>", answer.text)


def test_rows_renew_themselves_and_ask_for_the_same_stories(signed_in: SignIn, world: World) -> None:
    key = add(world, 1, StoryState.OPEN)
    client = signed_in(Role.VIEWER)
    asked = re.search(
        r'hx-get="(/stories/live\?keys=[^"]+)" hx-trigger="every 3s"', client.get("/stories").text
    )
    assert asked is not None
    add(world, 2)
    with world.relay.ledger.write() as tx:
        stories.change(tx, key, START, state=StoryState.FAILED)
    rows = client.get(asked[1]).text
    assert re.findall(r'id="story-(\d+)"', rows) == [str(key)]
    assert ">failed</span>" in rows
    assert client.get(f"/stories/live?keys=x,{10**30},,7").text.strip() == ""


def test_the_navigation_marks_the_page(signed_in: SignIn) -> None:
    page = signed_in(Role.VIEWER).get("/stories").text
    assert '<a href="/stories" aria-current="page">Stories</a>' in page
    assert ">Overview</a>" in page
    assert "People" not in page
