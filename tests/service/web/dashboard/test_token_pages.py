import html
import re

import pytest
from dashboard_client import SignIn, post
from flask import Flask
from relayed import World

from service.api_tokens import ApiTokens, BadApiToken
from service.domain.api_tokens import Scope
from service.domain.people import Role
from service.ledger import people


def fresh(text: str) -> str:
    found = re.search(r'value="(srt_\w+)"', text)
    assert found is not None
    return html.unescape(found[1])


def test_a_token_is_shown_once_works_and_is_removed(signed_in: SignIn, app: Flask, world: World) -> None:
    admin = signed_in(Role.ADMIN)
    token = fresh(post(admin, "/tokens", what="add", name="editorial", scope="read", days="90").text)
    tokens = ApiTokens(world.relay.ledger, world.relay.now)
    assert tokens.read(token).scopes == (Scope.READ,)
    called = {"Authorization": f"Bearer {token}"}
    assert app.test_client().get("/api/v1/stories", headers=called).status_code == 200
    listed = admin.get("/tokens").text
    assert token not in listed
    assert token[:12] in listed
    post(admin, "/tokens", what="remove", name="editorial")
    assert "editorial" in admin.get("/tokens").text  # the message
    assert app.test_client().get("/api/v1/stories", headers=called).status_code == 401
    with pytest.raises(BadApiToken):
        tokens.read(token)
    with world.relay.ledger.read() as tx:
        lines = [(deed.who, deed.action, deed.about) for _, deed in people.deeds(tx, 2)]
    assert lines == [("the-admin", "token_removed", "editorial"), ("the-admin", "token_added", "editorial")]


def test_only_an_admin_sees_and_makes_tokens(signed_in: SignIn, world: World) -> None:
    operator = signed_in(Role.OPERATOR)
    assert operator.get("/tokens").status_code == 403
    assert post(operator, "/tokens", what="add", name="a", scope="read").status_code == 403
    assert ApiTokens(world.relay.ledger, world.relay.now).all() == []


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"name": "a b", "scope": "read"}, "name has 1 to 64"),
        ({"name": "a"}, "at least one scope"),
        ({"name": "a", "scope": "everything"}, "not a valid Scope"),
        ({"name": "a", "scope": "read", "days": "x"}, "whole number"),
        ({"name": "a", "scope": "read", "days": "99999999999999"}, "1 to 3650 days"),
    ],
)
def test_what_can_not_be_made_is_told(signed_in: SignIn, form: dict[str, str], told: str) -> None:
    admin = signed_in(Role.ADMIN)
    assert post(admin, "/tokens", what="add", **form).status_code == 302
    assert told in html.unescape(admin.get("/tokens").text)


def test_a_form_that_is_not_ours_makes_nothing(signed_in: SignIn, world: World) -> None:
    admin = signed_in(Role.ADMIN)
    assert admin.post("/tokens", data={"what": "add", "name": "a", "scope": "read"}).status_code == 400
    assert ApiTokens(world.relay.ledger, world.relay.now).all() == []
