"""Draws docs/dashboard-*.jpg: the dashboard of a running service, with stories of each end.

    PYTHONPATH=tests/parts .venv/bin/python tests/pictures/dashboard.py        (needs chromium; half a minute)

The stories' days are moved apart in the picture's ledger, for a chart of one day tells nothing.
"""

import tempfile
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from browsed import OWNER, Seeded, Service, Watch, new_page, seed, service, sign_in
from chromium import chromium
from playwright.sync_api import Browser, Page, expect

from service.domain.people import Role
from service.domain.states import StoryState
from service.ledger.tables import stories

DOCS = Path(__file__).parents[2] / "docs"
MOST_BYTES = 150_000
MOMENTS = ("created_at", "finished_at", "webhook_at", "published_at", "settled_at")
TITLES = (
    "The lighthouse keeper's letter",
    "Tea for two",
    "Ein Brief aus Zürich",
    "A voyage to the moon",
    "The old clock",
    "The keeper's parrot",
    "القمر فوق البحر",
)


def main() -> None:
    """Runs the service, has stories made, and shoots each page."""
    with tempfile.TemporaryDirectory() as folder, service(Path(folder) / "home", 360) as running:
        running.account(OWNER, Role.ADMIN)
        made = [running.submit(title) for title in TITLES]
        for story in made:
            running.await_story(story, StoryState.SETTLED)
        spread(running, made[::-1])
        ids, newest = seed(running), running.submit(TITLES[0])
        running.await_story(newest, StoryState.SETTLED)
        running.submit("The snail's progress", "A snail. [fault:video-url-late=600]")
        with chromium() as browser:
            shoot_all(browser, running, ids, newest)


def spread(running: Service, made: list[str]) -> None:
    """Moves these stories into the days before."""
    relay = running.machine.relay()
    with relay.ledger.write() as tx:
        for days, story in enumerate(made, 1):
            row = tx.execute(sa.select(stories).where(stories.c.story_id == story)).one()
            earlier = timedelta(days=2 * days)
            times = {name: at - earlier for name in MOMENTS if (at := getattr(row, name)) is not None}
            tx.execute(sa.update(stories).where(stories.c.id == row.id).values(**times))
    relay.ledger.close()


WHEEL = 1500
"""Milliseconds for which Chromium turns its wheel over a video that is here already; no event tells of its end."""


def shoot_all(browser: Browser, running: Service, ids: Seeded, story: str) -> None:
    """A picture of each page, in light, and of a story on a phone in dark."""
    watch = Watch(running.url)
    page = new_page(browser, watch, viewport={"width": 1200, "height": 900})
    sign_in(page, OWNER)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    shoot(page, "/", "overview")
    shoot(page, "/stories", "stories")
    shoot(page, f"/stories/{story}", "story")
    shoot(page, "/destinations", "destinations")
    page.set_viewport_size({"width": 400, "height": 800})
    page.emulate_media(color_scheme="dark")
    shoot(page, f"/stories/{ids.dead}", "phone")
    assert watch.found == []


def shoot(page: Page, path: str, name: str) -> None:
    """Writes what the window shows of this page."""
    page.goto(path)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(WHEEL)
    picture = DOCS / f"dashboard-{name}.jpg"
    page.screenshot(path=picture, type="jpeg", quality=80)
    size = picture.stat().st_size
    assert size <= MOST_BYTES, f"{picture.name} has {size} bytes, more than a page should carry"


if __name__ == "__main__":
    main()
