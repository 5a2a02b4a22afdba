"""Accounts, tokens and roles: made, changed and removed, and who lacks a role sees no button and is refused."""

import urllib.request

from axe_found import look_here
from browsed import PASSWORD, Seeded, Service, Visit, Watch, sign_in
from playwright.sync_api import Page, expect

from service.domain.people import Role

SEEN_BY_VIEWERS = ("/", "/receipts", "/receipts/1", "/destinations", "/notices", "/replay", "/routes")


def test_an_account_comes_and_goes(page: Page) -> None:
    page.goto("/people")
    page.get_by_label("Name").fill("zoe")
    page.get_by_label("Password").fill("a password of zoe's")
    page.get_by_role("combobox", name="Role", exact=True).select_option("viewer")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator(".done")).to_contain_text("zoe has an account now")
    row = page.get_by_role("row", name="zoe")
    row.get_by_label("Role of zoe").select_option("operator")
    row.get_by_role("button", name="Set").click()
    expect(page.locator(".done")).to_contain_text("zoe has another role now")
    expect(row.get_by_label("Role of zoe")).to_have_value("operator")
    page.get_by_role("button", name="Sign zoe out everywhere").click()
    expect(page.locator(".done")).to_contain_text("zoe is signed out everywhere")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Remove zoe").click()
    expect(row).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove zoe").click()
    expect(page.locator(".done")).to_contain_text("The account zoe is removed")
    expect(row).to_have_count(0)
    page.goto("/audit")
    expect(page.get_by_role("region", name="Audit log")).to_contain_text("zoe")


def test_who_is_removed_while_signed_in_is_told_at_the_door(
    page: Page, running: Service, visit: Visit, watch: Watch
) -> None:
    running.account("rhea", Role.OPERATOR)
    theirs = visit()
    sign_in(theirs, "rhea")
    expect(theirs.get_by_role("heading", name="Overview")).to_be_visible()
    page.goto("/people")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove rhea").click()
    expect(page.locator(".done")).to_contain_text("The account rhea is removed")
    watch.refusals = {401, 403}  # a part of the page may ask before the click, and the wrong name after it
    theirs.get_by_role("link", name="Stories", exact=True).click()
    expect(theirs.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(theirs.get_by_role("status")).to_contain_text("You were signed out: your account or its role")
    assert look_here(theirs) == []
    theirs.get_by_label("Name").fill("rhea")
    theirs.get_by_label("Password").fill(PASSWORD)
    theirs.get_by_role("button", name="Sign in").click()
    expect(theirs.get_by_role("alert")).to_contain_text("Name or password is wrong")


def test_a_token_is_shown_once(page: Page, running: Service) -> None:
    page.goto("/tokens")
    page.get_by_label("Name, of what will use it").fill("robot")
    page.get_by_role("button", name="Make it").click()
    token = page.get_by_role("textbox", name="The new token").input_value()
    asked = urllib.request.Request(
        f"{running.url}/api/v1/stories", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        assert answer.status == 200
    page.goto("/tokens")
    assert token not in page.content()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove robot").click()
    expect(page.locator(".done")).to_contain_text("The token robot is removed")


def test_a_viewer_sees_everything_and_does_nothing(
    running: Service, seeded: Seeded, visit: Visit, watch: Watch
) -> None:
    running.account("vera", Role.VIEWER)
    page = visit()
    sign_in(page, "vera")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    for path in (*SEEN_BY_VIEWERS, f"/stories/{seeded.settled}"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        changes = page.locator("main form[method=post]")
        expect(changes).to_have_count(0)
    watch.refusals = {403}
    for path in ("/people", "/tokens", "/audit", "/stories/new", f"/stories/{seeded.settled}/forget"):
        page.goto(path)
        expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
    page.goto("/")
    csrf = page.locator("header input[name=csrf]").input_value()
    for path in ("/destinations/shelf/pause", f"/stories/{seeded.settled}/replay", "/people", "/replay"):
        assert page.request.post(path, form={"csrf": csrf}).status == 403


def test_an_operator_acts_and_forgets_nothing(
    running: Service, seeded: Seeded, visit: Visit, watch: Watch
) -> None:
    running.account("otto", Role.OPERATOR)
    page = visit()
    sign_in(page, "otto")
    page.goto(f"/stories/{seeded.settled}")
    expect(page.get_by_role("button", name="Replay to all")).to_be_visible()
    expect(page.get_by_role("link", name="Forget …")).to_have_count(0)
    expect(page.get_by_role("link", name="People")).to_have_count(0)
    watch.refusals = {403}
    page.goto(f"/stories/{seeded.settled}/forget")
    expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
