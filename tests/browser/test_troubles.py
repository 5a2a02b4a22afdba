"""A trouble that lasts: every page says so until it is over, and its notice is found by its kind."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from axe_found import look, look_here
from browsed import HOSTILE, Service
from playwright.sync_api import Page, expect

from service.domain.notices import Audience, NoticeKind, Trouble
from service.domain.steps import Lane, StepKind
from service.ledger import troubles

LANE = Lane(StepKind.DELIVER, "shelf")
TITLE = "Deliveries to shelf are paused"
BADGE = re.compile(r"^(1 trouble lasts|\d+ troubles last)$")  # the machine's disk may be full as well
STAYS = "() => { window.storyrelayStays = true }"
STAYED = "() => window.storyrelayStays === true"


def in_ledger(running: Service, change: Callable[[sa.Connection, datetime], bool]) -> bool:
    relay = running.machine.relay()
    try:
        with relay.ledger.write() as tx:
            return change(tx, relay.now())
    finally:
        relay.ledger.close()


def begin(tx: sa.Connection, now: datetime) -> bool:
    trouble = Trouble("", NoticeKind.LANE_PAUSED, TITLE, HOSTILE)
    return troubles.begin(tx, trouble, Audience(), now, str(LANE), since=now - timedelta(hours=2))


def end(tx: sa.Connection, now: datetime) -> bool:
    return troubles.end_of_lane(tx, LANE, now)


@pytest.fixture
def lasting(page: Page, running: Service) -> Iterator[Page]:
    """A page of the service while a trouble lasts: one that no story's delivery to the archive ends."""
    assert in_ledger(running, begin)
    yield page
    in_ledger(running, end)


def test_a_trouble_stands_on_every_page_until_it_is_over(lasting: Page, running: Service) -> None:
    lasting.goto("/")
    badge = lasting.get_by_role("navigation").locator(".badge")
    expect(badge).to_have_text(BADGE)
    expect(lasting.get_by_role("region", name="Troubling now")).to_contain_text(f"{TITLE} for 2 h")
    assert look_here(lasting) == []
    assert look(lasting, "/notices") == []
    banner = lasting.get_by_role("region", name="Troubling now")
    line = banner.locator(".trouble").filter(has_text=TITLE)
    expect(line).to_contain_text(HOSTILE)
    lasting.evaluate(STAYS)
    assert in_ledger(running, end)
    expect(line).to_have_count(0)
    assert lasting.evaluate(STAYED), "without loading the page again"
    lasting.goto("/notices")
    expect(lasting.locator("ol.notices li").filter(has_text=TITLE).first).to_contain_text("Over after 2 h")


def test_notices_are_found_by_their_kind(lasting: Page) -> None:
    lasting.goto("/notices")
    rows = lasting.get_by_role("region", name="Notices").get_by_role("listitem")
    lasting.get_by_label("Kind").select_option("lane_paused")
    lasting.get_by_role("button", name="Show", exact=True).click()
    expect(lasting).to_have_url("/notices?kind=lane_paused")
    expect(rows.first).to_contain_text("It lasts.")
    expect(rows.filter(has_not_text=TITLE)).to_have_count(0)
    assert look_here(lasting) == []
    lasting.get_by_role("link", name="All kinds").click()
    expect(rows.filter(has_text="the scenes could not be made")).to_have_count(1)
