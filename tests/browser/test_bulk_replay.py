"""Many stories again: looked at first, started, watched, cancelled."""

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from browsed import PATIENCE, Service
from machine import await_that
from playwright.sync_api import Page, expect


@contextmanager
def no_scheduler(running: Service) -> Iterator[None]:
    """Stops those who carry a bulk replay on, so that it is under way for as long as a test likes."""
    await_that(lambda: halted(running), "the scheduler stands still, and not within a transaction", PATIENCE)
    try:
        yield
    finally:
        signal_scheduler(running, signal.SIGCONT)


def halted(running: Service) -> bool:
    """Stops the scheduler, unless the ledger can't be written then: it may be its own transaction that is open."""
    signal_scheduler(running, signal.SIGSTOP)
    ledger = sqlite3.connect(
        running.machine.home / "var" / "ledger.sqlite3", timeout=0.5, isolation_level=None
    )
    try:
        ledger.execute("BEGIN IMMEDIATE")
        ledger.execute("ROLLBACK")
    except sqlite3.OperationalError:
        signal_scheduler(running, signal.SIGCONT)
        return False
    finally:
        ledger.close()
    return True


def signal_scheduler(running: Service, number: int) -> None:
    schedulers = running.machine.named("scheduler")
    assert schedulers
    for process in schedulers:
        process.send_signal(number)


def look_first(page: Page, destination: str) -> None:
    page.goto("/replay")
    page.get_by_label("Stories that are").select_option("settled")
    page.get_by_label("Deliver to").select_option(destination)
    page.get_by_role("button", name="Look first").click()
    expect(page.get_by_role("heading", name="What would be done")).to_be_visible()


def test_many_are_replayed(page: Page) -> None:
    look_first(page, "shelf")
    expect(page.get_by_role("region", name="The first stories")).to_contain_text("Tea")
    page.get_by_role("button", name="Start: replay").click()
    expect(page.get_by_role("heading", name="Bulk replay")).to_be_visible()
    expect(page.locator("#bulk .big")).to_contain_text("Done")
    expect(page.get_by_role("region", name="What became of each")).to_contain_text("Tea")


def test_one_is_cancelled(page: Page, running: Service) -> None:
    look_first(page, "shelf")
    with no_scheduler(running):
        page.get_by_role("button", name="Start: replay").click()
        expect(page.locator("#bulk .big")).to_contain_text("Under way")
        page.get_by_role("button", name="Cancel it").click()
        expect(page.locator("#bulk .big")).to_contain_text("Cancelled")
    page.get_by_role("link", name="Replay many stories").click()
    expect(page.get_by_role("row", name="cancelled").first).to_be_visible()
