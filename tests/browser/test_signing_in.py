"""The way in and out: the one-time link works once, wrong passwords don't, and a sign-out ends sessions."""

from browsed import PASSWORD, Seeded, Service, Visit, Watch, sign_in
from playwright.sync_api import Page, expect

from service.domain.people import Role


def test_the_one_time_link_works_once(page: Page, running: Service, watch: Watch, visit: Visit) -> None:
    watch.refusals = {404}
    stranger = visit()
    stranger.goto(running.setup_link)
    expect(stranger.get_by_text("The first account was made already")).to_be_visible()
    stranger.goto(running.setup_link[:-3])
    expect(stranger.get_by_text("storyrelay user link")).to_be_visible()


def test_a_wrong_password_is_refused(running: Service, seeded: Seeded, watch: Watch, visit: Visit) -> None:
    watch.refusals = {403}
    page = visit()
    sign_in(page, "ada", "not the password at all")
    expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
    expect(page.get_by_label("Name")).to_have_value("ada")


def test_signing_in_leads_to_the_wanted_page(seeded: Seeded, visit: Visit) -> None:
    page = visit()
    page.goto("/receipts?verdict=unmatched")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Receipts")).to_be_visible()
    expect(page.get_by_label("Verdict")).to_have_value("unmatched")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/receipts")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_signing_out_everywhere(running: Service, seeded: Seeded, watch: Watch, visit: Visit) -> None:
    running.account("olga", Role.OPERATOR)
    here, there = visit(), visit()
    sign_in(here, "olga")
    sign_in(there, "olga")
    expect(there.get_by_role("heading", name="Overview")).to_be_visible()
    watch.refusals = {401}  # of the overview's next look for news
    here.get_by_role("link", name="olga").click()
    here.get_by_role("button", name="Sign out everywhere").click()
    expect(here.get_by_role("heading", name="Sign in")).to_be_visible()
    # the overview finds out by itself, and comes back to where it was
    expect(there.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_password_is_changed(running: Service, seeded: Seeded, watch: Watch, visit: Visit) -> None:
    running.account("piet", Role.VIEWER)
    page = visit()
    sign_in(page, "piet")
    page.get_by_role("link", name="piet").click()
    page.get_by_label("Present password").fill("a wrong one altogether")
    page.get_by_label("New password").fill("another horse entirely")
    page.get_by_role("button", name="Change it").click()
    expect(page.locator(".problem")).to_be_visible()
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("New password").fill("another horse entirely")
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_role("status")).to_contain_text("The password is changed")
    page.get_by_role("button", name="Sign out", exact=True).click()
    sign_in(page, "piet", "another horse entirely")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
