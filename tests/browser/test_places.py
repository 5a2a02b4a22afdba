"""Destinations: a test is sent, deliveries pause and go on, and routes say what they would take."""

from browsed import Service
from playwright.sync_api import Page, expect


def test_sending_a_test(page: Page) -> None:
    page.goto("/destinations")
    page.get_by_role("button", name="Send a test to shelf").click()
    expect(page.locator("#place-shelf").get_by_role("status")).to_contain_text("sent")


def test_pausing_and_resuming(page: Page, running: Service) -> None:
    page.goto("/destinations")
    page.get_by_text("How cms is configured").click()
    expect(page.locator("#options-cms")).not_to_contain_text("whsec_M")
    page.get_by_role("button", name="Pause cms").click()
    card = page.locator("#place-cms")
    expect(card).to_contain_text("Paused by ada")
    story = running.submit("It waits", aspect_ratio="9:16")
    expect(card.locator("dd").first).to_have_text("1")
    page.get_by_role("button", name="Resume cms").click()
    expect(card).to_contain_text("Works.")
    expect(card.locator("dd").first).to_have_text("0")
    page.goto(f"/stories/{story}")
    expect(page.locator(".results")).to_contain_text("cms: published")


def test_which_routes_a_story_would_take(page: Page) -> None:
    page.goto("/destinations")
    page.get_by_role("link", name="Which routes would a story take?").click()
    page.get_by_label("Aspect ratio").fill("9:16")
    page.get_by_label("Title").fill("Fox")
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_text("It would go to")).to_contain_text("team, shelf, cms, desk")
    page.get_by_label("Aspect ratio").fill("1:1")
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_role("row", name="cms no")).to_contain_text("9:16")
