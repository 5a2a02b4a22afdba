"""One running service and one Chromium for all these tests; a page for each, watched."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_found import look
from browsed import OWNER, PASSWORD, Seeded, Service, Visit, Watch, new_page, seed, service
from chromium import chromium
from playwright.sync_api import Browser, Page, expect

LAST = "test_every_action_was_done"
AT_FIRST = (
    "/",
    "/stories",
    "/stories/new",
    "/receipts",
    "/destinations",
    "/notices",
    "/approvals",
    "/replay",
    "/routes",
    "/tokens",
    "/people",
    "/audit",
    "/account",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks back at all others comes last."""
    items.sort(key=lambda item: item.name == LAST)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=20_000)
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("up") / "home") as started:
        yield started


@pytest.fixture(scope="session")
def posted() -> set[str]:
    """The paths to which forms were sent with success, over all tests."""
    return set()


@pytest.fixture(scope="session")
def owner(browser: Browser, running: Service, posted: set[str]) -> dict[str, Any]:
    """The cookies of the first account, which its owner made by the one-time link."""
    watch = Watch(running.url, posted=posted)
    page = new_page(browser, watch)
    page.goto("/")
    expect(page.get_by_text("There is no account yet")).to_be_visible()
    page.goto(running.setup_link)
    page.get_by_label("Name").fill(OWNER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("status")).to_contain_text("Welcome")
    cookies: dict[str, Any] = page.context.storage_state()
    page.context.close()
    assert watch.found == []
    return cookies


@pytest.fixture(scope="session")
def empty(browser: Browser, running: Service, owner: dict[str, Any]) -> list[str]:
    """What axe finds on the pages as long as there is nothing to see on them."""
    watch = Watch(running.url)
    page = new_page(browser, watch, storage_state=owner)
    found = [finding for path in AT_FIRST for finding in look(page, path)]
    page.context.close()
    return found + watch.found


@pytest.fixture(scope="session")
def seeded(running: Service, empty: list[str]) -> Seeded:
    """Stories of each end; made when the empty pages were seen."""
    return seed(running)


@pytest.fixture
def watch(running: Service, posted: set[str]) -> Iterator[Watch]:
    """Holds that the test's pages do nothing that they must not."""
    seen = Watch(running.url, posted=posted)
    yield seen
    assert seen.found == []


@pytest.fixture
def visit(browser: Browser, watch: Watch) -> Iterator[Visit]:
    """Opens a page in a browser of its own, with the options of Playwright's new_context."""
    pages: list[Page] = []

    def open_page(**options: Any) -> Page:
        pages.append(new_page(browser, watch, **options))
        return pages[-1]

    yield open_page
    for page in pages:
        page.context.close()


@pytest.fixture
def page(visit: Visit, owner: dict[str, Any], seeded: Seeded) -> Page:
    """The owner's page, in a service with stories."""
    return visit(storage_state=owner)
