"""Every page there is, as axe-core sees it: in light, in dark and on a narrow screen, empty and with stories."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_found import look, look_here
from browsed import Seeded, Service, Visit, Watch
from playwright.sync_api import Page, expect
from relayed import make_world
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map

from service.web import create_app

PAGES: dict[str, Callable[[Seeded], list[str]]] = {
    "overview": lambda _: ["/"],
    "story_list_page": lambda _: ["/stories", "/stories?text=nothing+like+it", "/stories?label=x"],
    "story": lambda ids: [f"/stories/{name}" for name in (ids.settled, ids.failed, ids.dead, "nowhere")],
    "story_new": lambda _: ["/stories/new"],
    "story_withdraw": lambda ids: [f"/stories/{ids.settled}/withdraw"],
    "story_cancel": lambda ids: [f"/stories/{ids.settled}/cancel"],
    "story_forget": lambda ids: [f"/stories/{ids.settled}/forget"],
    "story_delete_at_api": lambda ids: [f"/stories/{ids.settled}/delete-at-api"],
    "receipt_list": lambda _: ["/receipts", "/receipts?from=nonsense"],
    "receipt": lambda ids: [f"/receipts/{ids.unmatched}", "/receipts/999999"],
    "destination_list": lambda _: ["/destinations"],
    "route_choice": lambda _: ["/routes?title=Fox&aspect_ratio=9:16", "/routes?duration=long"],
    "notice_list": lambda _: ["/notices", "/notices?kind=story_failed", "/notices?kind=disk_low"],
    "bulk_list": lambda _: ["/replay?state=settled&from=2026-01-01T00:00", "/replay?state=dead"],
    "bulk": lambda _: ["/replay/999999"],
    "token_list": lambda _: ["/tokens"],
    "people_list": lambda _: ["/people"],
    "audit": lambda _: ["/audit"],
    "approval_list": lambda _: ["/approvals"],
    "account": lambda _: ["/account"],
    "api_docs": lambda _: ["/api/docs"],
}
"""The addresses at which each page is looked at, by the page's endpoint."""

SIGNED_OUT = {"sign_in": "/sign-in", "setup": "/setup/nonsense"}
NO_PAGES = {
    "static": "style and script",
    "api_docs_file": "style and script",
    "overview_live": "a part of the overview",
    "overview_trends": "a part of the overview",
    "story_list_live": "rows of the list",
    "story_live": "parts of a story's page",
    "destination_list_live": "a part of the destinations' page",
    "notice_live": "a part of the notices' page",
    "approval_list_live": "a part of the approvals' page",
    "bulk_live": "a part of a bulk replay's page",
    "story_captions": "captions of a video",
    "story_json": "a download",
    "story_webhook": "a download",
    "receipt_body": "a download",
}
"""What answers GET and is no page, with the reason."""


@pytest.fixture
def routes(tmp_path: Path) -> Iterator[Map]:
    """All routes of the application."""
    world = make_world(tmp_path, f"sqlite:///{tmp_path}/ledger.sqlite3", "", {})
    yield create_app(world.relay).url_map
    world.relay.ledger.close()


def of_dashboard(routes: Map, method: str) -> set[str]:
    return {
        rule.endpoint.removeprefix("dashboard.")
        for rule in routes.iter_rules()
        if rule.endpoint.startswith("dashboard.") and method in (rule.methods or ())
    }


def test_all_pages_are_looked_at(routes: Map) -> None:
    assert of_dashboard(routes, "GET") == {*PAGES, *SIGNED_OUT, *NO_PAGES}


def test_empty_pages(empty: list[str]) -> None:
    assert empty == []


@pytest.mark.parametrize("endpoint", PAGES)
def test_page(endpoint: str, page: Page, seeded: Seeded, watch: Watch) -> None:
    watch.refusals = {400, 404}
    assert [finding for path in PAGES[endpoint](seeded) for finding in look(page, path)] == []


@pytest.mark.parametrize("endpoint", SIGNED_OUT)
def test_page_before_the_door(endpoint: str, seeded: Seeded, visit: Visit, watch: Watch) -> None:
    watch.refusals = {404}
    assert look(visit(), SIGNED_OUT[endpoint]) == []


def test_a_story_under_way(page: Page, running: Service) -> None:
    story = running.submit("A story that takes its time", "A snail. [fault:video-url-late=600]")
    page.goto(f"/stories/{story}")
    expect(page.get_by_text("What comes next")).to_be_visible()
    assert look_here(page) == []


def test_every_action_was_done(routes: Map, posted: set[str], request: pytest.FixtureRequest) -> None:
    files = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    ran = {item.path.name for item in request.session.items}
    if ran != files:
        pytest.skip(f"looks back at all tests of this folder, and these did not run: {sorted(files - ran)}")
    done = set()
    adapter = routes.bind("localhost")
    for path in posted:
        try:
            endpoint, _ = adapter.match(path, "POST")
        except HTTPException:
            continue
        done.add(endpoint.removeprefix("dashboard."))
    assert of_dashboard(routes, "POST") - done == set()
