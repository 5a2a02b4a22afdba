"""The list of stories: found by what people know, a page at a time, live."""

from datetime import UTC, datetime, timedelta

from browsed import Seeded, Service
from playwright.sync_api import Page, expect

from service.domain.states import Origin, StoryState
from service.ledger import stories
from service.ledger.stories import NewStory

MANY = 60
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def rows(page: Page, words: str) -> None:
    """Holds that the list shows one story alone, which says these words."""
    found = page.locator("table.stories tbody tr")
    expect(found).to_have_count(1)
    expect(found).to_contain_text(words)


def test_filters(page: Page, seeded: Seeded) -> None:
    page.goto("/stories")
    page.get_by_label("Title, idea or id").fill("upright letter")
    page.get_by_role("button", name="Show", exact=True).click()
    rows(page, "The upright letter")
    page.get_by_role("link", name="Show all").click()
    page.get_by_label("State").select_option("failed")
    page.get_by_role("button", name="Show", exact=True).click()
    rows(page, "The storm")
    page.goto(f"/stories?text={seeded.settled}")
    rows(page, "Tea")
    page.locator("table.stories tbody a", has_text='"Tea"').click()
    expect(page.locator("video")).to_be_visible()


def test_states_move_without_reload(page: Page, running: Service) -> None:
    running.submit("Seen in the list", "A snail. [fault:video-url-late=3]")
    page.goto("/stories?text=Seen in the list")
    row = page.locator("table.stories tbody tr").first
    page.evaluate("() => { window.storyrelayStays = true }")
    expect(row).not_to_contain_text("settled")
    expect(row).to_contain_text("settled")
    assert page.evaluate("() => window.storyrelayStays === true"), "without loading the page again"


def test_pages(page: Page, running: Service) -> None:
    relay = running.machine.relay()
    with relay.ledger.write() as tx:
        for number in range(MANY):
            new = NewStory(
                f"long-ago-{number}",
                Origin.SUBMITTED,
                StoryState.CANCELLED,
                kind="idea",
                title=f"Old {number}",
            )
            stories.add(tx, new, LONG_AGO + timedelta(minutes=number))
    relay.ledger.close()
    page.goto("/stories?from=2026-01-01T00:00&to=2026-01-02T00:00")
    expect(page.locator("table.stories tbody tr")).to_have_count(50)
    expect(page.locator("table.stories tbody tr").first).to_contain_text(f"Old {MANY - 1}")
    page.get_by_role("link", name="Older").click()
    expect(page.locator("table.stories tbody tr")).to_have_count(MANY - 50)
    page.get_by_role("link", name="Newer").click()
    expect(page.locator("table.stories tbody tr")).to_have_count(50)


def test_nothing_fits(page: Page) -> None:
    page.goto("/stories?text=there is no such story at all")
    expect(page.get_by_text("No story fits this filter")).to_be_visible()
