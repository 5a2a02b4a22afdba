"""With the keyboard alone: signing in, a story, a replay."""

from axe_found import look_here
from browsed import PASSWORD, Seeded, Service, Visit
from playwright.sync_api import Page, expect

from service.domain.people import Role

FOCUSED = "() => (document.activeElement.getAttribute('aria-label') || document.activeElement.innerText || '').trim()"
MOST_TABS = 80


def tab_to(page: Page, words: str) -> None:
    """Presses Tab until what says these words has the focus, and can be seen to have it."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED).startswith(words):
            assert page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") == "solid"
            return
    raise AssertionError(f"{MOST_TABS} tabs did not lead to “{words}” on {page.url}")


def test_from_the_door_to_a_replay(running: Service, seeded: Seeded, visit: Visit) -> None:
    running.account("kay", Role.OPERATOR)
    page = visit()
    page.goto("/receipts?verdict=accepted")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("kay")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Receipts")).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "To the content"
    page.keyboard.press("Enter")
    tab_to(page, "20")  # the newest receipt, by its date
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Receipt ")).to_be_visible()
    page.goto(f"/stories/{seeded.settled}")
    tab_to(page, "Replay to all")
    page.keyboard.press("Enter")
    expect(page.locator(".done")).to_be_visible()


def test_rare_pages_lie_behind_one_word(page: Page) -> None:
    page.goto("/")
    audit = page.get_by_role("link", name="Audit")
    expect(audit).to_be_hidden()
    tab_to(page, "More")
    page.keyboard.press("Enter")
    expect(audit).to_be_visible()
    assert look_here(page) == []
    tab_to(page, "Audit")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Who did what")
    expect(page.locator("nav summary")).to_have_text("More: Audit")
    header = page.locator("header").bounding_box()
    assert header is not None
    assert header["height"] < 70, "at 1200 px all of it stands on one line"
