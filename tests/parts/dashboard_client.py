"""A browser's way with the dashboard: signing in, and forms with their token."""

from collections.abc import Callable

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.domain.people import Role

PASSWORD = "correct horse battery"

SignIn = Callable[[Role], FlaskClient]


def csrf(client: FlaskClient) -> str:
    """What a page of this browser's session carries in its forms."""
    client.get("/sign-in")
    with client.session_transaction() as session:
        return str(session["csrf"])


def post(client: FlaskClient, path: str, **form: str) -> TestResponse:
    """Sends a form of ours."""
    return client.post(path, data={"csrf": csrf(client), **form})
