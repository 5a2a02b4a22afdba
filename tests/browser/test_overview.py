"""The overview and the pages that only tell: live, and true."""

from browsed import Seeded, Service
from playwright.sync_api import Page, expect

STAYS = "() => { window.storyrelayStays = true }"
SETTLED = (
    "before => Number(document.querySelector('.tile.settled strong').innerText.replace(',', '')) > before"
)
STAYED = "() => window.storyrelayStays === true"


def test_the_overview_renews_itself(page: Page, running: Service) -> None:
    page.goto("/")
    tile = page.locator(".tile.settled strong")
    before = int(tile.inner_text())
    page.evaluate(STAYS)
    running.submit("Seen from the overview")
    # at least: a story of another test may settle meanwhile
    page.wait_for_function(SETTLED, arg=before)
    assert page.evaluate(STAYED), "without loading the page again"
    expect(page.get_by_role("region", name="Destinations")).to_contain_text("shelf")


def test_notices_tell_what_went_wrong(page: Page) -> None:
    page.goto("/notices")
    expect(page.get_by_role("region", name="Notices")).to_contain_text("the scenes could not be made")
    expect(page.get_by_role("region", name="Notices")).to_contain_text("cms")


def test_receipts(page: Page, seeded: Seeded) -> None:
    page.goto("/receipts")
    page.get_by_label("Verdict").select_option("malformed")
    page.get_by_role("button", name="Show", exact=True).click()
    table = page.get_by_role("region", name="Receipts")
    expect(table.get_by_role("row")).to_have_count(2)
    table.get_by_role("link").click()
    expect(page.get_by_role("region", name="Body")).to_have_text("not JSON")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download it as it came").click()
    assert download.value.path().read_bytes() == b"not JSON"


def test_adopting_what_a_receipt_is_about(page: Page, running: Service, seeded: Seeded) -> None:
    story = running.asked_elsewhere()
    page.goto("/receipts?verdict=unmatched")
    page.get_by_role("region", name="Receipts").get_by_role("link").first.click()
    page.get_by_label("The story's id at the Story API").fill(story)
    page.get_by_role("button", name="Adopt this story").click()
    expect(page.get_by_role("status")).to_be_visible()
    page.goto(f"/stories/{story}")
    expect(page.locator(".state strong")).to_have_text("settled")


def test_the_audit_log_tells_who_did_what(page: Page, seeded: Seeded) -> None:
    page.goto("/audit")
    expect(page.get_by_role("region", name="Audit log")).to_contain_text("ada")


def test_the_api_docs_page_shows_the_calls(page: Page) -> None:
    page.goto("/api/docs")
    call = page.locator(".opblock-summary-path", has_text="/api/v1/stories").first
    expect(call).to_be_visible()
    page.locator(".opblock-summary-control").first.click()
    expect(page.locator(".opblock-body").first).to_be_visible()
