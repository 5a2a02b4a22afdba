"""The overview as people see it: empty, and with stories of every kind."""

import re
from datetime import timedelta

import sqlalchemy as sa
from dashboard_client import SignIn
from relayed import START, World

from service.domain.people import Role
from service.domain.states import Origin, StoryState
from service.ledger import stories
from service.ledger.stories import NewStory
from service.ledger.tables import stories as story_table


def test_an_empty_ledger_has_an_overview(signed_in: SignIn) -> None:
    page = signed_in(Role.VIEWER).get("/").text
    assert "No story was published in these 14 days" in page
    assert "No story of ours finished" in page
    assert '<a class="tile open" href="/stories?state=open"><strong>0</strong>' in page


def test_each_chart_is_told_as_a_table_too(signed_in: SignIn, world: World) -> None:
    with world.relay.ledger.write() as tx:
        for number, state in enumerate(StoryState):
            new = NewStory(f"sub-{number}", Origin.SUBMITTED, state, f"story-{number}")
            assert stories.add(tx, new, START)
        tx.execute(
            sa.update(story_table)
            .where(story_table.c.state == StoryState.SETTLED)
            .values(finished_at=START, published_at=START + timedelta(seconds=42), used_credits=60)
        )
    client = signed_in(Role.VIEWER)
    for path in ("/", "/overview/trends"):
        page = client.get(path).text
        row = re.search(r'<tr><th scope="row">2026-03-01</th>(.*?)</tr>', page)
        assert row is not None
        assert re.findall(r">([^<>]+)(?=<|$)", row[1]) == ["1", "3", "1", "4", "42 s", "42 s", "60"]
        assert "2026-03-01: 3 not published" in page
        assert "2026-03-01: 95 of 100 within 42 s" in page
        for drawn in re.findall(r"<svg [^>]*>", page):
            assert 'aria-describedby="trends-table"' in drawn
