"""Questions to people, answered on the dashboard and on the page behind a mail's link: only then a story goes on."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from axe_found import look_here
from browsed import PATIENCE, Seeded, Service, Visit, Watch
from machine import await_that
from playwright.sync_api import Page, expect

from service.domain.states import StoryState
from service.ledger.approval_tables import approvals


def asked(running: Service, title: str) -> tuple[str, str]:
    """A story that waits for an answer, and the path of the link that the mail has."""
    story = running.submit(title, aspect_ratio="1:1")
    found: list[str] = []

    def is_asked() -> bool:
        for mail in running.mailbox.messages:
            text = mail.message.get_body(("plain",))
            said = "" if text is None else str(text.get_content())
            if title in said:
                found.extend(re.findall(r"http://\S+(/approve/\S+)", said))
        return bool(found)

    await_that(is_asked, f"a mail asks about {title}", PATIENCE, now=lambda: running.machine.log[-2000:])
    return story, found[0]


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


def test_a_story_is_rejected_on_the_dashboard(page: Page, running: Service) -> None:
    story, path = asked(running, "Square and wordy")
    page.goto(f"/stories/{story}")
    form = page.locator("form.decide")
    form.get_by_label("Note (optional)").fill("too long")
    form.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("status").first).to_contain_text("Rejected by ada: too long.")
    expect(page.locator(".asked")).to_contain_text("Rejected by ada: too long")
    expect(page.locator("form.decide")).to_have_count(0)
    running.await_story(story, StoryState.SETTLED)
    page.goto(f"/stories/{story}")
    expect(page.locator(".results")).to_contain_text("cms: not delivered rejected by ada: too long")
    page.goto("/approvals")
    expect(page.get_by_role("region", name="Answered questions")).to_contain_text("too long")
    assert look_here(page) == []
    page.goto(path)
    expect(page.get_by_role("status")).to_contain_text("Rejected by ada: too long")


@pytest.mark.parametrize(
    ("title", "button", "said"),
    [
        ("Square by mail", "Approve", "Approved by Ann (by the link to desk): fine"),
        ("Square and refused", "Reject", "Rejected by Ann (by the link to desk): fine"),
    ],
)
def test_a_mails_link_decides_once(
    running: Service, seeded: Seeded, visit: Visit, watch: Watch, title: str, button: str, said: str
) -> None:
    story, path = asked(running, title)
    page, second = visit(), visit()
    for each in (page, second):  # nobody is signed in there
        each.goto(path)
        expect(each.get_by_role("heading", level=1)).to_have_text(title)
        expect(each.get_by_text("May it go to cms?")).to_be_visible()
    assert look_here(page) == []
    page.get_by_label("Your name (optional)").fill("Ann")
    page.get_by_label("Note (optional)").fill("fine")
    page.get_by_role("button", name=button).click()
    expect(page.get_by_role("status")).to_contain_text(said)
    expect(page.get_by_role("button")).to_have_count(0)
    assert look_here(page) == []
    watch.refusals = {409}
    second.get_by_role("button", name="Approve").click()
    expect(second.get_by_role("status").first).to_have_text("Nothing changed: somebody had answered before.")
    expect(second.get_by_role("status").last).to_contain_text(said)
    assert look_here(second) == []
    second.goto(path)
    expect(second.get_by_role("status")).to_contain_text(said)
    running.await_story(story, StoryState.SETTLED)
    arrived = story in {each.story_id for each in running.sink.deliveries}
    assert arrived == (button == "Approve")


def test_the_link_of_a_question_whose_time_is_over(
    running: Service, seeded: Seeded, visit: Visit, watch: Watch
) -> None:
    story, path = asked(running, "Square and late")
    relay = running.machine.relay()
    try:
        row = running.story(story)
        with relay.ledger.write() as tx:
            over = relay.now() - timedelta(seconds=1)
            tx.execute(sa.update(approvals).where(approvals.c.story == row.id).values(expires_at=over))
    finally:
        relay.ledger.close()
    running.await_story(story, StoryState.SETTLED)
    page = visit()
    page.goto(path)
    expect(page.get_by_role("status")).to_contain_text("Rejected, for nobody answered in time")
    expect(page.get_by_text("It goes to none of its other destinations.")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)
    assert look_here(page) == []
    watch.refusals = {404}
    page.goto(path[:-4] + "AAAA")
    expect(page.get_by_role("heading", name="No such question")).to_be_visible()
    assert look_here(page) == []
