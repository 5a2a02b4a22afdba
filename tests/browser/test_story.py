"""A story's page: its video plays, it renews itself, and each button does what it says, once it is meant."""

from browsed import HOSTILE, Seeded, Service
from playwright.sync_api import Page, expect

PLAY = "video => video.play()"
STAYS = "() => { window.storyrelayStays = true }"


def test_the_video_plays_with_its_captions(page: Page, seeded: Seeded) -> None:
    page.goto(f"/stories/{seeded.settled}")
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    video = page.locator("video")
    video.evaluate("video => { video.muted = true; return video.play() }")
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.2")
    page.wait_for_function("() => document.querySelector('video').textTracks[0].cues?.length > 0")
    assert video.evaluate("video => video.videoWidth") > 0
    poster = video.get_attribute("poster")
    assert poster is not None
    assert page.request.get(poster).headers["content-type"] == "image/jpeg"
    part = page.request.get(
        str(page.locator("video source").get_attribute("src")), headers={"Range": "bytes=0-9"}
    )
    assert (part.status, len(part.body())) == (206, 10)


def test_the_page_renews_itself(page: Page, running: Service) -> None:
    story = running.submit("Seen as it comes", "A snail. [fault:video-url-late=3]")
    page.goto(f"/stories/{story}")
    expect(page.get_by_text("There is no video yet")).to_be_visible()
    page.evaluate(STAYS)
    expect(page.locator(".state strong")).to_have_text("settled")
    expect(page.locator("video")).to_be_visible()
    assert page.evaluate("() => window.storyrelayStays === true"), "without loading the page again"


def test_what_happened_is_told(page: Page, seeded: Seeded) -> None:
    page.goto(f"/stories/{seeded.dead}")
    expect(page.get_by_text("cms gave up").first).to_be_visible()
    expect(page.locator(".timeline")).to_contain_text("410")
    page.get_by_text("The webhook's body").first.click()
    expect(page.locator(".timeline pre").locator("visible=true").first).to_contain_text(seeded.dead)
    page.goto(f"/stories/{seeded.failed}")
    expect(page.locator(".state.bad")).to_contain_text("the scenes could not be made")


def test_fetching_replaying_and_sending_elsewhere(page: Page, running: Service) -> None:
    story = running.submit("Once more, please")
    page.goto(f"/stories/{story}")
    expect(page.locator(".state strong")).to_have_text("settled")
    page.get_by_role("button", name="Fetch now").click()
    expect(page.get_by_role("status").first).to_be_visible()
    page.goto(f"/stories/{story}")
    page.get_by_role("button", name="Replay to all").click()
    expect(page.locator(".done")).to_be_visible()
    expect(page.locator(".state strong")).to_have_text("settled")
    page.get_by_label("Destination").select_option("desk")
    page.get_by_role("button", name="Send there").click()
    expect(page.locator(".done")).to_contain_text("desk")
    expect(page.locator(".results")).to_contain_text("desk: published")
    assert any(mail.message["To"] == "desk@example.com" for mail in running.mailbox.messages)


def test_withdrawing_forgetting_and_deleting(page: Page, running: Service) -> None:
    story = running.submit("Taken back")
    page.goto(f"/stories/{story}")
    expect(page.locator(".state strong")).to_have_text("settled")
    page.get_by_role("link", name="Withdraw …").click()
    page.get_by_role("link", name="No, back to the story").click()
    page.get_by_role("link", name="Withdraw …").click()
    page.get_by_label("From").select_option("shelf")
    page.get_by_role("button", name="Withdraw").click()
    expect(page.locator(".results")).to_contain_text("shelf: withdrawn")
    expect(page.locator(".results")).to_contain_text("team: published")
    page.get_by_role("link", name="Delete at the Story API …").click()
    page.get_by_label("Type its id").fill("another")
    page.get_by_role("button", name="Delete it for good").click()
    expect(page.locator(".problem")).to_be_visible()
    page.get_by_role("link", name="Delete at the Story API …").click()
    page.get_by_label("Type its id").fill(story)
    page.get_by_role("button", name="Delete it for good").click()
    expect(page.locator(".done")).to_be_visible()
    page.get_by_role("link", name="Forget …").click()
    page.get_by_role("button", name="Forget the story").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.locator(".done")).to_be_visible()


def test_cancelling(page: Page, running: Service) -> None:
    story = running.submit("Never mind", "A snail. [fault:video-url-late=600]")
    page.goto(f"/stories/{story}")
    page.get_by_role("link", name="Cancel …").click()
    page.get_by_role("button", name="Cancel the story").click()
    expect(page.locator(".state strong")).to_have_text("cancelled")


def test_a_page_that_is_too_old_does_nothing(page: Page, running: Service) -> None:
    story = running.submit("Seen too late", "A snail. [fault:video-url-late=600]")
    page.goto(f"/stories/{story}/cancel")
    other = page.context.new_page()
    other.goto(f"/stories/{story}/cancel")
    other.get_by_role("button", name="Cancel the story").click()
    expect(other.locator(".state strong")).to_have_text("cancelled")
    page.get_by_role("button", name="Cancel the story").click()
    expect(page.locator(".problem")).to_contain_text("nothing was done")


def test_asking_for_a_story(page: Page) -> None:
    page.goto("/stories/new")
    page.get_by_label("The idea").fill("A kettle that sings on Sundays.")
    page.get_by_label("Title").fill("The kettle")
    page.get_by_label("Scenes").fill("1")
    page.get_by_label("Seconds a scene").fill("2")
    page.get_by_role("button", name="What does it cost?").click()
    expect(page.get_by_role("status")).to_contain_text("Nothing was sent yet")
    page.get_by_role("button", name="Ask for the video").click()
    expect(page.locator(".done")).to_contain_text("The video is asked for")
    expect(page.locator(".state strong")).to_have_text("settled")


def test_adopting_a_story(page: Page, running: Service) -> None:
    story = running.asked_elsewhere("A story of somebody else.")
    page.goto("/stories/new")
    page.get_by_label("The Story API's id").fill(story)
    page.get_by_role("button", name="Adopt it").click()
    expect(page.locator(".state strong")).to_have_text("settled")
