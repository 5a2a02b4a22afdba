import io
import re
import threading
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from dashboard_client import PASSWORD, SignIn, csrf, post
from flask import Flask
from relayed import World
from werkzeug.routing import Rule

from service.accounts import Accounts
from service.domain.people import Role

OPEN = {
    "/webhooks/story/<token>", "/media/<token>", "/healthz", "/readyz", "/sign-in", "/setup/<token>",
    "/static/<path:filename>", "/metrics", "/api/v1/openapi.json", "/approve/<token>", "/slack/interactions",
}  # fmt: skip
"""What may be reached without an account; each has a proof of its own."""


def filled(rule: Rule) -> str:
    return re.sub(r"<(?:\w+:)?\w+>", "1", rule.rule)


def test_nothing_but_what_is_listed_can_be_reached_without_an_account(app: Flask, accounts: Accounts) -> None:
    accounts.add_first("Ada", PASSWORD, "")
    client = app.test_client()
    closed = [rule for rule in app.url_map.iter_rules() if rule.rule not in OPEN]
    assert len(closed) >= 7
    for rule in closed:
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            answer = client.open(filled(rule), method=method)
            if method == "GET" and not rule.rule.startswith("/api/v1/"):
                assert (answer.status_code, answer.location.split("?")[0]) == (302, "/sign-in"), rule
            else:
                assert answer.status_code == 401, rule


HOSTILE = (
    "9" * 24,
    "-1",
    "0001-01-01T00:00:00+14:00~1",
    "9999-12-31T23:59:59-14:00~1",
    "\0x",
    "\ud7ff'\"<%",
    "x" * 3000,
)


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_in_an_address_breaks_a_page(app: Flask, signed_in: SignIn, value: str) -> None:
    client = signed_in(Role.ADMIN)
    names = ("before", "after", "claimed", "from", "text", "state", "label", "keys", "story")
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.endpoint.partition(".")[0] != "dashboard":
            continue
        inside = re.sub(r"<[^>]+>", quote(value, safe=""), rule.rule)
        assert client.get(inside).status_code < 500, inside
        path = filled(rule)
        for name in names:
            assert client.get(path, query_string={name: value}).status_code < 500, (path, name)


def test_a_page_that_says_nothing_of_roles_is_shown_to_nobody(app: Flask, signed_in: SignIn) -> None:
    client = signed_in(Role.ADMIN)
    app.view_functions["dashboard.overview"] = lambda: "secret"
    answer = client.get("/")
    assert answer.status_code == 403
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        (Role.VIEWER, "/", 200),
        (Role.VIEWER, "/account", 200),
        (Role.VIEWER, "/people", 403),
        (Role.OPERATOR, "/audit", 403),
        (Role.ADMIN, "/people", 200),
        (Role.ADMIN, "/audit", 200),
    ],
)
def test_a_page_takes_its_role(signed_in: SignIn, role: Role, path: str, status: int) -> None:
    assert signed_in(role).get(path).status_code == status


def test_every_change_needs_a_form_of_ours(app: Flask, signed_in: SignIn) -> None:
    client = signed_in(Role.ADMIN)
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("dashboard.") and "POST" in (rule.methods or set()):
            for form in ({}, {"csrf": ""}, {"csrf": "wrong"}, {"csrf": "é"}):
                assert client.post(filled(rule), data=form).status_code == 400, rule


def test_pages_are_not_kept_framed_or_fed_from_elsewhere(signed_in: SignIn) -> None:
    answer = signed_in(Role.VIEWER).get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", answer.text)


def test_the_session_cookie_stays_with_us(app: Flask, signed_in: SignIn, world: World) -> None:
    client = signed_in(Role.VIEWER)
    cookie = client.get_cookie("storyrelay")
    assert cookie is not None
    assert (cookie.http_only, cookie.same_site) == (True, "Lax")
    assert app.config["SESSION_COOKIE_SECURE"] is world.relay.settings.public_url.startswith("https")
    assert app.permanent_session_lifetime == timedelta(hours=12)


def test_a_part_that_renews_itself_leads_to_sign_in_once_the_session_is_over(app: Flask) -> None:
    answer = app.test_client().get("/overview/live", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/sign-in?next=%2Foverview%2Flive")


def test_a_session_of_an_account_that_changed_is_over(signed_in: SignIn, accounts: Accounts) -> None:
    client = signed_in(Role.OPERATOR)
    assert client.get("/").status_code == 200
    accounts.set_role("the-operator", Role.VIEWER, "test")
    part = {"HX-Request": "true", "HX-Current-URL": "http://localhost/stories?state=dead"}
    answer = client.get("/stories/live", headers=part)
    assert answer.headers["HX-Redirect"] == "/sign-in?next=%2Fstories%3Fstate%3Ddead", "not to the part alone"
    assert client.get("/").status_code == 302
    assert client.get("/sign-in").text.count("You were signed out") == 1
    assert "You were signed out" not in client.get("/sign-in").text


def test_a_forged_session_is_none(app: Flask, accounts: Accounts) -> None:
    accounts.add_first("Ada", PASSWORD, "")
    client = app.test_client()
    client.set_cookie("storyrelay", "eyJwZXJzb24iOjEsImVwb2NoIjowfQ.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb")
    assert client.get("/").status_code == 302


def test_signing_out_everywhere_ends_other_browsers(app: Flask, signed_in: SignIn) -> None:
    here = signed_in(Role.VIEWER)
    there = app.test_client()
    post(there, "/sign-in", name="the-viewer", password=PASSWORD)
    assert there.get("/").status_code == 200
    assert post(here, "/sign-out", everywhere="yes").status_code == 302
    assert (here.get("/").status_code, there.get("/").status_code) == (302, 302)


class Endless(io.RawIOBase):
    """A body that goes on for as long as somebody reads; `taken` counts what was."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.taken += len(buffer)
        assert self.taken < 2**23, "it is read without end"
        buffer[:] = b"x" * len(buffer)
        return len(buffer)


FORMS = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "application/json")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("length", [str(2**30), None], ids=["told", "untold"])
def test_no_address_takes_a_body_of_any_size(
    app: Flask, accounts: Accounts, form: str, length: str | None
) -> None:
    accounts.add_first("Ada", PASSWORD, "")
    client = app.test_client()
    rules = [
        rule for rule in app.url_map.iter_rules() if (rule.methods or set()) & {"POST", "DELETE", "PATCH"}
    ]
    assert len(rules) >= 25
    for rule in rules:
        body = Endless()
        told = {"CONTENT_LENGTH": length} if length else {"wsgi.input_terminated": True}
        method = next(iter((rule.methods or set()) & {"POST", "DELETE", "PATCH"}))
        answer = client.open(
            filled(rule),
            method=method,
            environ_overrides={"wsgi.input": body, "CONTENT_TYPE": form, **told},
        )
        assert answer.status_code in (400, 401, 404, 413, 429), (rule, answer.status_code)
        assert body.taken <= 2**20, (rule, body.taken)


def test_many_that_sign_in_at_once_leave_threads_for_webhooks(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = threading.BoundedSemaphore(1)
    monkeypatch.setattr("service.accounts._LINE", line)
    client = app.test_client()
    form = {"name": "ada", "password": "wrong", "csrf": csrf(client)}
    with line:
        answer = client.post("/sign-in", data=form)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    assert "Many people are signing in at this moment" in answer.text
    assert client.post("/sign-in", data=form).status_code == 403


def test_a_character_that_no_text_has_is_found_in_every_value(signed_in: SignIn) -> None:
    assert signed_in(Role.VIEWER).get("/stories?state=settled&state=a%00b").status_code == 400
