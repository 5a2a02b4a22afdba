import pytest
from dashboard_client import PASSWORD, SignIn, post
from flask import Flask
from relayed import World
from structlog.testing import capture_logs

from service.accounts import TRIES, Accounts
from service.domain.people import Role
from service.ledger import people


def path_of(url: str) -> str:
    return "/setup/" + url.rsplit("/", 1)[1]


def test_the_first_account_is_made_by_the_link_once(app: Flask, world: World) -> None:
    path = path_of(world.relay.setup_urls.url())
    client = app.test_client()
    assert "first account" in client.get(path).text
    assert post(client, path, name="Ada", password="short").status_code == 400
    assert post(client, path, name="A d a", password=PASSWORD).status_code == 400
    answer = post(client, path, name="Ada", password=PASSWORD)
    assert (answer.status_code, answer.location) == (302, "/")
    assert "Welcome" in client.get("/").text
    assert client.get(path).status_code == 404
    assert post(app.test_client(), path, name="eve", password=PASSWORD).status_code == 404


def test_a_link_that_is_old_or_forged_opens_nothing(app: Flask, world: World) -> None:
    path = path_of(world.relay.setup_urls.url())
    client = app.test_client()
    assert client.get(path[:-2] + "AA").status_code == 404
    assert client.get("/setup/x").status_code == 404
    world.clock.move(24 * 3600 + 2)
    assert client.get(path).status_code == 404


def test_a_wrong_password_says_neither_which_nor_more(app: Flask, accounts: Accounts) -> None:
    accounts.add_first("Ada", PASSWORD, "")
    client = app.test_client()
    wrong = post(client, "/sign-in", name="Ada", password="wrong")
    unknown = post(client, "/sign-in", name="Bob", password="wrong")
    assert (wrong.status_code, unknown.status_code) == (403, 403)
    assert "Name or password is wrong." in wrong.text
    assert "Name or password is wrong." in unknown.text


def test_too_many_tries_are_told(app: Flask, accounts: Accounts) -> None:
    accounts.add_first("Ada", PASSWORD, "")
    client = app.test_client()
    for _ in range(TRIES):
        post(client, "/sign-in", name="Ada", password="wrong")
    answer = post(client, "/sign-in", name="Ada", password=PASSWORD)
    assert answer.status_code == 403
    assert "try again in 15 minutes" in answer.text


def test_sign_ins_leave_lines_that_name_nobody_who_was_refused(app: Flask, accounts: Accounts) -> None:
    accounts.add_first("Ada", PASSWORD, "")
    client = app.test_client()
    with capture_logs() as said:
        post(client, "/sign-in", name="my-password-in-the-wrong-field", password="wrong")
        post(client, "/sign-in", name="Ada", password=PASSWORD)
    refused = {"reason": "wrong name or password", "left_out": 0}
    assert said == [
        {"event": "sign_in.refused", "log_level": "warning", "remote": "127.0.0.1", **refused},
        {"event": "sign_in.done", "log_level": "info", "remote": "127.0.0.1", "name": "Ada"},
    ]


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        ("/account", "/account"),
        ("/people?x=1", "/people?x=1"),
        ("https://evil.test/", "/"),
        ("//evil.test/", "/"),
        ("/\\evil.test", "/"),
        ("javascript:alert(1)", "/"),
        ("/stories\r\nSet-Cookie: x=y", "/"),
        ("", "/"),
    ],
)
def test_after_signing_in_one_is_where_one_wanted_on_this_site(
    app: Flask, accounts: Accounts, wanted: str, goes: str
) -> None:
    accounts.add_first("Ada", PASSWORD, "")
    client = app.test_client()
    client.get("/sign-in")
    with client.session_transaction() as session:
        token = session["csrf"]
    form = {"csrf": token, "name": "Ada", "password": PASSWORD}
    answer = client.post("/sign-in", query_string={"next": wanted}, data=form)
    assert (answer.status_code, answer.location) == (302, goes)


def test_without_an_account_the_page_says_how_to_make_one(app: Flask) -> None:
    assert "storyrelay user add" in app.test_client().get("/sign-in").text


def test_what_an_admin_does_with_accounts_is_done_and_noted(
    signed_in: SignIn, accounts: Accounts, world: World
) -> None:
    client = signed_in(Role.ADMIN)
    post(client, "/people", what="add", name="bo", password=PASSWORD, role="viewer")
    assert "bo has an account now" in client.get("/people").text
    post(client, "/people", what="role", name="bo", role="operator")
    post(client, "/people", what="end", name="bo")
    post(client, "/people", what="remove", name="bo")
    assert [account.person.name for account in accounts.all()] == ["the-admin"]
    wrong = (
        {"what": "add", "name": "bo", "password": "x", "role": "viewer"},
        {"what": "hack"},
        {"what": "role", "name": "the-admin", "role": "god"},
        {"what": "remove", "name": "the-admin"},
    )
    for form in wrong:
        post(client, "/people", **form)
        assert 'class="problem"' in client.get("/people").text, form
    with world.relay.ledger.read() as tx:
        done = [deed.action for _, deed in people.deeds(tx, 100) if deed.about == "bo"]
    assert done == ["account_removed", "sessions_ended", "role_changed", "account_added"]
    assert "account removed" in client.get("/audit").text


def test_ones_own_password_is_changed_by_who_knows_it(app: Flask, signed_in: SignIn) -> None:
    client = signed_in(Role.VIEWER)
    post(client, "/account", old="wrong", new=PASSWORD + "!")
    assert "the present password is not right" in client.get("/account").text.lower()
    post(client, "/account", old=PASSWORD, new=PASSWORD + "!")
    assert "The password is changed" in client.get("/account").text
    other = app.test_client()
    assert post(other, "/sign-in", name="the-viewer", password=PASSWORD).status_code == 403
    assert post(other, "/sign-in", name="the-viewer", password=PASSWORD + "!").status_code == 302
