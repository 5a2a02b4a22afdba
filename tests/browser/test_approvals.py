"""A question to people, answered on the dashboard: only then does the story go on."""

from axe_found import look_here
from browsed import Service
from playwright.sync_api import Page, expect


def test_a_story_waits_for_its_answer(page: Page, running: Service) -> None:
    story = running.submit("Square and careful", aspect_ratio="1:1")
    page.goto("/approvals")
    question = page.locator(".questions li", has_text="Square and careful")
    expect(question).to_be_visible()  # the page renews itself
    assert look_here(page) == []
    question.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status").first).to_contain_text("pproved")
    expect(question).to_have_count(0)
    page.goto(f"/stories/{story}")
    expect(page.locator(".results")).to_contain_text("cms: published")
