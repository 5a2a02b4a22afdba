"""Draws docs/approval.png: the page behind a signed link, as a browser shows it.

PYTHONPATH=.:tests/parts .venv/bin/python tests/pictures/approval_page.py        (needs chromium)
"""

import tempfile
import threading
from pathlib import Path

import sqlalchemy as sa
from placed import finished
from playwright.sync_api import sync_playwright
from relayed import make_world
from werkzeug.serving import make_server

from handlers.video_file import poster, probe
from service.domain.states import StepKind
from service.domain.steps import Lane
from service.emulator.film import FilmPlan, draw_film
from service.ledger import approvals, steps
from service.web import create_app

PICTURE = Path(__file__).parents[2] / "docs" / "approval.png"
TOML = """
[destinations.team]
connector = "email"
host = "127.0.0.1"
from = "a@example.com"
to = ["b@example.com"]
[destinations.blog]
connector = "archive"
path = "b"
[destinations.shelf]
connector = "archive"
path = "s"
[[routes]]
name = "all"
approval = "team"
destinations = ["blog", "shelf"]
"""


def draw(home: Path) -> None:
    world = make_world(home, f"sqlite:///{home}/ledger.sqlite3", TOML, {})
    relay = world.relay
    finished(world, deliver=False)
    film = home / "film.mp4"
    draw_film(FilmPlan("The fox", ("A fox walks home", "Through the snow"), 4, "16:9"), 360, film)
    poster(film, probe(film), home / "poster.jpg")
    store = relay.video_store()
    store.put_file("story-1/r1/poster.jpg", home / "poster.jpg", content_type="image/jpeg", move=False)
    store.put_file("story-1/r1/video.mp4", film, content_type="video/mp4", move=False)
    with relay.ledger.write() as tx:
        tx.execute(sa.text("UPDATE stories SET title = 'A fox walks home through the snow'"))
        tx.execute(sa.text("UPDATE videos SET has_poster = true"))
        steps.add(
            tx,
            [steps.NewStep(Lane(StepKind.DELIVER, to), 1, 1, "all") for to in ("blog", "shelf")],
            world.clock(),
        )
        approvals.ask(tx, 1, 1, {"all": "team"}, relay.configuration.approval, world.clock())
    server = make_server("127.0.0.1", 0, create_app(relay), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    token = relay.approval_urls.link(1, world.clock()).rpartition("/")[2]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 720, "height": 860})
        page.goto(f"http://127.0.0.1:{server.port}/approve/{token}")
        page.screenshot(path=PICTURE)
        browser.close()
    server.shutdown()
    relay.ledger.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder))
