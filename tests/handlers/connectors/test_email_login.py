"""Logging in with access tokens: at mail servers (XOAUTH2, OAUTHBEARER), and fetching them."""

import datetime
import json
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError

from handlers.connectors import oauth_token
from handlers.connectors.email import EmailConnector, EmailOptions
from service.connectors import ConnectorTools
from service.domain.delivery import DeliveryFailed
from service.stand_ins.mailbox import Mailbox

USER = "relay@example.test"
SECRETS = ("cl1ent-s3cret", "r3fresh-t0ken", "access-1", "access-2")
Connect = Callable[..., EmailConnector]


class TokenEndpoint:
    """Answers as it is told, else with the next access token; `asked` has the forms that came."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.answers: deque[tuple[int, dict[str, str], bytes]] = deque()
        self.more: dict[str, Any] = {"expires_in": 3600}
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                endpoint.asked.append({name: values[0] for name, values in form.items()})
                status, headers, body = endpoint.answer()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/token"

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        if self.answers:
            return self.answers.popleft()
        token = {"access_token": f"access-{len(self.asked)}", "token_type": "Bearer", **self.more}
        return 200, {"Content-Type": "application/json"}, json.dumps(token).encode()

    def refuses(self, status: int, error: str, words: str = "", **headers: str) -> None:
        body = json.dumps({"error": error, "error_description": words}).encode()
        self.answers.append((status, headers, body))


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    oauth_token._KEPT.clear()
    served = TokenEndpoint()
    thread = threading.Thread(target=served.server.serve_forever, args=(0.01,))
    thread.start()
    yield served
    served.server.shutdown()
    thread.join()
    served.server.server_close()
    oauth_token._KEPT.clear()


@pytest.fixture(params=["XOAUTH2", "OAUTHBEARER"])
def box(request: pytest.FixtureRequest, tls: ssl.SSLContext) -> Iterator[Mailbox]:
    with Mailbox(tls=tls, by_token=frozenset({request.param})) as mailbox:
        mailbox.tokens |= {(USER, f"access-{n}") for n in (1, 2, 3)}
        yield mailbox


def options(box: Mailbox, url: str, ca_file: Path, **oauth2: Any) -> EmailOptions:
    given = {"token_url": url, "client_id": "relay", "client_secret": SECRETS[0], "refresh_token": SECRETS[1]}
    return EmailOptions.model_validate(
        {
            "host": "localhost",
            "port": box.port,
            "ca_file": ca_file,
            "username": USER,
            "oauth2": {name: value for name, value in {**given, **oauth2}.items() if value is not None},
            "from": USER,
            "to": ["ann@example.test"],
        }
    )


@pytest.fixture
def connector(box: Mailbox, endpoint: TokenEndpoint, certificate: Path, tools: ConnectorTools) -> Connect:
    """Makes a connector, as each step does."""
    return lambda **oauth2: EmailConnector(options(box, endpoint.url, certificate, **oauth2), tools)


def refusal(act: Callable[[], object]) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as failed:
        act()
    assert not any(secret in str(failed.value) for secret in SECRETS)
    return failed.value


def test_one_token_serves_the_process(
    shelf: Any, connector: Connect, endpoint: TokenEndpoint, box: Mailbox
) -> None:
    connector().publish(shelf.publication())
    assert f"{USER} at localhost" in connector().check()
    assert len(box.messages) == 1
    assert endpoint.asked == [
        {
            "grant_type": "refresh_token",
            "client_id": "relay",
            "client_secret": SECRETS[0],
            "refresh_token": SECRETS[1],
        }
    ]


def test_a_token_that_has_ended_is_fetched_anew(connector: Connect, endpoint: TokenEndpoint) -> None:
    endpoint.more = {"expires_in": "3600"}  # Microsoft's older endpoints write a text
    connector().check()
    connector().check()
    assert len(endpoint.asked) == 1
    endpoint.more = {"expires_in": 60}  # ends within the minute that a token must last
    oauth_token._KEPT.clear()
    connector().check()
    connector().check()
    assert len(endpoint.asked) == 3


def test_a_revoked_token_is_renewed_once(
    shelf: Any, connector: Connect, endpoint: TokenEndpoint, box: Mailbox
) -> None:
    connector().check()
    box.tokens.discard((USER, "access-1"))
    connector().publish(shelf.publication())
    assert (len(endpoint.asked), len(box.messages)) == (2, 1)
    box.tokens.clear()
    failed = refusal(connector().check)
    assert failed.refused
    assert "scope" in str(failed)
    assert "535" in str(failed)
    assert len(endpoint.asked) == 3


def test_a_rotated_refresh_token_is_used_next(
    connector: Connect, endpoint: TokenEndpoint, box: Mailbox
) -> None:
    endpoint.more = {"refresh_token": "newer", "expires_in": 0}
    connector().check()
    connector().check()
    assert [form["refresh_token"] for form in endpoint.asked] == [SECRETS[1], "newer"]


def test_client_credentials_where_there_is_no_refresh_token(
    connector: Connect, endpoint: TokenEndpoint
) -> None:
    connector(refresh_token=None, scope="https://outlook.office365.com/.default").check()
    (form,) = endpoint.asked
    assert (form["grant_type"], form["scope"]) == (
        "client_credentials",
        "https://outlook.office365.com/.default",
    )
    assert "refresh_token" not in form


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (400, "invalid_grant", "set the new refresh_token"),
        (401, "invalid_client", "client_secret, which may have expired"),
        (400, "unauthorized_client", "allow this kind of grant"),
        (400, "something_else", "see the options under oauth2"),
    ],
)
def test_refusals_say_what_to_do(
    connector: Connect, endpoint: TokenEndpoint, status: int, error: str, says: str
) -> None:
    endpoint.refuses(status, error, f"the token {SECRETS[1]} \x1b[31m<b> of {SECRETS[0]}")
    failed = refusal(connector().check)
    assert failed.refused
    assert says in str(failed)
    assert error in str(failed)
    assert str(failed).isprintable()


def test_a_busy_endpoint_is_asked_later(connector: Connect, endpoint: TokenEndpoint) -> None:
    endpoint.refuses(429, "slow_down", **{"Retry-After": "7"})
    failed = refusal(connector().check)
    assert (failed.permanent, failed.refused, failed.retry_after) == (False, False, 7)
    endpoint.refuses(503, "temporarily_unavailable")
    failed = refusal(connector().check)
    assert (failed.permanent, failed.refused) == (False, False)


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"{}", b'{"access_token": 7}', b'{"access_token": "a\\r\\nMAIL FROM:<x>"}']
)
def test_an_answer_without_a_token_points_at_the_url(
    connector: Connect, endpoint: TokenEndpoint, body: bytes
) -> None:
    endpoint.answers.append((200, {}, body))
    failed = refusal(connector().check)
    assert failed.refused
    assert "token_url" in str(failed)


@pytest.mark.parametrize("lifetime", [None, "soon", float("1e300"), -5, True, [1]])
def test_odd_lifetimes_are_borne(connector: Connect, endpoint: TokenEndpoint, lifetime: object) -> None:
    endpoint.more = {"expires_in": lifetime}
    connector().check()
    ends = [grant.token.good_until for grant in oauth_token._KEPT.values()]
    assert all(
        end < datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1, minutes=1) for end in ends
    )


def test_nobody_at_the_endpoint(
    box: Mailbox, certificate: Path, tools: ConnectorTools, nobody_listens: int
) -> None:
    url = f"http://127.0.0.1:{nobody_listens}/token"
    failed = refusal(EmailConnector(options(box, url, certificate), tools).check)
    assert (failed.permanent, failed.refused) == (False, False)
    assert "access token" in str(failed)


def test_a_server_without_token_logins(
    endpoint: TokenEndpoint, tls: ssl.SSLContext, certificate: Path, tools: ConnectorTools
) -> None:
    with Mailbox(tls=tls, login=("relay", "x")) as box:
        failed = refusal(EmailConnector(options(box, endpoint.url, certificate), tools).check)
    assert failed.refused
    assert "XOAUTH2" in str(failed)
    assert endpoint.asked == []


def test_a_user_with_signs_of_the_header(
    box: Mailbox, endpoint: TokenEndpoint, certificate: Path, tools: Any
) -> None:
    box.tokens.add(("a=b,c@example.test", "access-1"))
    odd = options(box, endpoint.url, certificate).model_copy(update={"username": "a=b,c@example.test"})
    assert EmailConnector(odd, tools).check()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"oauth2": {"token_url": "https://x.test/t", "client_id": "a"}}, "without a refresh_token"),
        ({"oauth2": {"token_url": "ftp://x.test", "client_id": "a", "refresh_token": "r"}}, "http"),
        ({"password": "p"}, "one of them"),
        ({"username": None}, "belong together"),
        ({"username": "rélay"}, "ASCII"),
    ],
)
def test_options_are_checked(wrong: dict[str, Any], says: str) -> None:
    oauth2 = {"token_url": "https://login.example.test/token", "client_id": "a", "refresh_token": "s3cret"}
    given = {"host": "mail.example.test", "username": USER, "oauth2": oauth2, "from": USER, "to": [USER]}
    assert "s3cret" not in repr(EmailOptions.model_validate(given))
    with pytest.raises(ValidationError, match=says) as failed:
        EmailOptions.model_validate({**given, **wrong})
    assert "s3cret" not in str(failed.value)
