import dataclasses
import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from machine import await_that, free_port
from relayed import KEY, World

from service.ledger import Ledger, engine, reports, stories
from service.ledger.tables import receipts, steps
from service.media_url import MediaUrls
from service.observability import configure_logging
from service.web import create_app
from service.web.webhooks import TokenMeter
from service.webhook_url import WebhookUrls

MakeWorld = Callable[..., World]
BODY = {"batch_id": "story-1", "status": "success", "customer_id": "c"}
PREFIX = "/webhooks/story/"
DAY = 86400


def kept(world: World) -> tuple[list[str], int]:
    """The verdicts of all receipts, and the number of stories."""
    with world.relay.ledger.read() as tx:
        verdicts = list(tx.execute(sa.select(receipts.c.verdict).order_by(receipts.c.id)).scalars())
        return verdicts, sum(stories.counts(tx).values())


def urls(
    *, keys: tuple[str, ...] = (KEY,), version: int = 1, ago: float = 0, route: str = "all"
) -> WebhookUrls:
    signed_at = datetime.now(UTC).timestamp() - ago
    return WebhookUrls("", keys, 30, {route: version}, now=lambda: signed_at)


def media_token() -> str:
    return MediaUrls("", (KEY,)).url("key", "name", 60).removeprefix("/media/")


def token(url: str) -> str:
    return url.removeprefix(PREFIX)


ROUTE = urls().for_route("all")
GOOD = token(ROUTE)
FORGED = {
    "junk": "junk",
    "one character changed": GOOD[:-20] + ("A" if GOOD[-20] != "A" else "B") + GOOD[-19:],
    "truncated": GOOD[:-1],
    "signature alone": GOOD.rpartition(".")[2],
    "payload changed": GOOD.replace("r.all.1.", "r.all.2."),
    "expired": token(urls(ago=31 * DAY).for_submission("sub-1")),
    "from the future": token(urls(ago=-DAY).for_submission("sub-1")),
    "revoked": token(urls(version=2).for_route("all")),
    "of no route": token(urls(route="other").for_route("other")),
    "by another key": token(urls(keys=("another-key-of-somebody",)).for_route("all")),
    "of a media link": media_token(),
    "a submission's as a route's": "r" + token(urls().for_submission("sub-1"))[1:],
    "nul": GOOD[:-2] + "%00",
    "new line": GOOD + "%0a",
    "slash": GOOD + "/",
    "letters that are none of ours": "%C3%BC" * 30,
    "very long": "A" * 3000,
}


def test_a_token_that_is_not_good_opens_nothing(world: World, client: FlaskClient) -> None:
    statuses = {name: client.post(PREFIX + forged, json=BODY).status_code for name, forged in FORGED.items()}
    assert statuses == dict.fromkeys(FORGED, 404)
    assert kept(world) == ([], 0)


@pytest.mark.parametrize("ago", [0, 29 * DAY])
def test_a_submissions_token_is_good_for_a_month(make: MakeWorld, sqlite_url: str, ago: float) -> None:
    world = make(sqlite_url)
    path = urls(ago=ago).for_submission("sub-gone")
    answer = create_app(world.relay).test_client().post(path, json=BODY)
    assert (answer.status_code, answer.get_json()) == (202, {"verdict": "unmatched"})


def test_a_webhook_is_answered_kept_and_its_fetch_queued(either: World) -> None:
    world = either
    answer = create_app(world.relay).test_client().post(ROUTE, json=BODY)
    assert (answer.status_code, answer.get_json()) == (202, {"verdict": "accepted"})
    assert kept(world) == (["accepted"], 1)
    assert world.queue.arrived.wait(10), "the fetch is queued"
    assert len(world.queue.jobs) == 1
    assert world.steps("story-1")["fetch"].state == "queued"


def raw_bodies() -> dict[str, tuple[bytes, str]]:
    body = json.dumps(BODY).encode()
    return {
        "JSON": (body, "application/json"),
        "JSON with a charset": (body, "application/json; charset=utf-8"),
        "text": (body, "text/plain"),
        "byte order mark": (b"\xef\xbb\xbf" + body, "application/json"),
        "said to be a form": (body, "application/x-www-form-urlencoded"),
        "said to be a multipart form": (body, "multipart/form-data; boundary=x"),
        "of no type": (body, ""),
        "of a type that is none": (body, "\xff;;==" + "x" * 500),
        "a whole story under data": (json.dumps({"data": {"id": "story-1"}}).encode(), "application/json"),
    }


@pytest.mark.parametrize(("body", "kind"), raw_bodies().values(), ids=raw_bodies().keys())
def test_json_is_read_under_any_type(world: World, client: FlaskClient, body: bytes, kind: str) -> None:
    answer = client.post(ROUTE, data=body, headers={"Content-Type": kind})
    assert answer.status_code == 202
    assert world.story("story-1").route == "all"
    with world.relay.ledger.read() as tx:
        assert tx.execute(sa.select(receipts.c.body)).scalars().all() == [body], "kept as it came"


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\x00\xff", b"null", b"[" * 60_000])
def test_what_is_not_json_is_refused_and_kept(world: World, client: FlaskClient, body: bytes) -> None:
    answer = client.post(ROUTE, data=body)
    assert answer.status_code == 400
    assert answer.get_json()["verdict"] == "malformed"
    assert kept(world) == (["malformed"], 0)


def test_no_id_is_accepted_and_kept(world: World, client: FlaskClient) -> None:
    answer = client.post(ROUTE, json={"status": "success"})
    assert (answer.status_code, answer.get_json()) == (202, {"verdict": "unmatched"})
    assert kept(world) == (["unmatched"], 0)


def padded(size: int) -> bytes:
    start = json.dumps(BODY).encode()
    return start + b" " * (size - len(start))


def test_up_to_64_kib_are_taken_and_not_a_byte_more(world: World, client: FlaskClient) -> None:
    assert client.post(ROUTE, data=padded(65536)).status_code == 202
    assert client.post(ROUTE, data=padded(65537)).status_code == 413
    assert kept(world) == (["accepted"], 1)


def test_a_long_body_under_a_forged_token_is_not_even_read(world: World, client: FlaskClient) -> None:
    assert client.post(PREFIX + "junk", data=padded(65537)).status_code == 404


def test_only_post_is_taken(world: World, client: FlaskClient) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
        answer = client.open(ROUTE, method=method, json=BODY)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST"), method
    assert kept(world) == ([], 0)


def test_a_token_that_is_used_too_often_has_to_wait(make: MakeWorld, sqlite_url: str) -> None:
    world = make(sqlite_url, STORYRELAY_WEBHOOK_RATE="2")
    client = create_app(world.relay).test_client()
    answers = [client.post(ROUTE, json={"id": f"story-{n}"}) for n in range(40)]
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {202, 429}
    assert statuses[:2] == [202, 202]
    assert {answer.headers["Retry-After"] for answer in answers if answer.status_code == 429} == {"1"}
    assert kept(world)[1] == statuses.count(202), "who is told to wait leaves nothing"
    other = world.relay.webhook_urls.for_submission("sub-1").removeprefix("https://relay.example")
    assert client.post(other, json=BODY).status_code == 202, "each token for itself"


def test_twenty_a_second_are_admitted() -> None:
    time = [100.0]
    meter = TokenMeter(20, lambda: time[0])
    assert [meter.admits("a") for _ in range(21)] == [True] * 20 + [False]
    assert meter.admits("b")
    time[0] += 1
    assert meter.admits("a")


def test_a_meter_forgets_rather_than_grows() -> None:
    meter = TokenMeter(1, lambda: 100.0)
    for number in range(50_000):
        assert meter.admits(f"token-{number}")
    assert len(meter._counts) < 20_000


def test_a_locked_ledger_is_told_and_the_next_try_works(
    make: MakeWorld, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_MS", 50)
    world = make(sqlite_url)
    client = create_app(world.relay).test_client()
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = client.post(ROUTE, json=BODY)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert sqlite_url.removeprefix("sqlite:///") not in answer.text
    other.execute("ROLLBACK")
    other.close()
    assert kept(world) == ([], 0)
    assert client.post(ROUTE, json=BODY).status_code == 202


def test_a_ledger_that_is_gone_is_told(make: MakeWorld, sqlite_url: str) -> None:
    world = make(sqlite_url)
    gone = Ledger(f"postgresql+psycopg://relay:secret@127.0.0.1:{free_port()}/none")
    client = create_app(dataclasses.replace(world.relay, ledger=gone)).test_client()
    answer = client.post(ROUTE, json=BODY)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "127.0.0.1" not in answer.text


def test_without_a_queue_the_webhook_is_taken_and_swept_later(world: World, client: FlaskClient) -> None:
    world.queue.down = True
    assert client.post(ROUTE, json=BODY).status_code == 202
    await_that(lambda: world.queue.refused > 0, "the queue was tried", 10, every=0.01)
    await_that(lambda: world.steps("story-1")["fetch"].state == "pending", "put back", 10, every=0.01)
    world.queue.down = False
    world.clock.move(1)
    world.relay.dispatcher.sweep()
    assert len(world.queue.jobs) == 1


def test_a_burst_of_webhooks_is_dispatched_whole(world: World, client: FlaskClient) -> None:
    for number in range(10):
        assert client.post(ROUTE, json={"id": f"story-{number}"}).status_code == 202
    await_that(lambda: len(world.queue.jobs) == 10, "all are queued", 10, every=0.01)
    assert len(set(world.queue.jobs)) == 10


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_log_shows_a_token_even_of_a_mistake(
    make: MakeWorld, sqlite_url: str, capfd: pytest.CaptureFixture[str], log_format: str
) -> None:
    world = make(sqlite_url)

    def mistaken() -> datetime:
        raise ZeroDivisionError(f"a mistake about {ROUTE}")

    configure_logging(log_format, "debug", "web")
    answer = create_app(dataclasses.replace(world.relay, now=mistaken)).test_client().post(ROUTE, json=BODY)
    assert answer.status_code == 500
    assert "mistake" not in answer.text
    said = capfd.readouterr().err
    assert "ZeroDivisionError" in said
    assert GOOD not in said
    assert GOOD.rpartition(".")[2] not in said


def test_the_sender_is_the_one_before_our_proxies(make: MakeWorld, sqlite_url: str) -> None:
    for proxies, remote in (("0", "127.0.0.1"), ("1", "192.0.2.7")):
        world = make(sqlite_url, TRUSTED_PROXIES=proxies)
        create_app(world.relay).test_client().post(
            ROUTE, json=BODY, headers={"X-Forwarded-For": "203.0.113.9, 192.0.2.7"}
        )
        with world.relay.ledger.read() as tx:
            newest = sa.select(receipts.c.remote).order_by(receipts.c.id.desc()).limit(1)
            assert tx.execute(newest).scalar_one() == remote


def test_text_that_no_database_takes_is_no_obstacle(either: World) -> None:
    client = create_app(either.relay).test_client()
    hostile = {"id": "a\u0000b\ud800c\u202e", "status": "\u0000\udfff" + "x" * 9000, "title": "\u0000"}
    answer = client.post(ROUTE, data=json.dumps(hostile), headers={"User-Agent": "x" * 2000})
    assert answer.status_code == 202
    with either.relay.ledger.read() as tx:
        row = stories.find(tx, "abc")
        assert row is not None
        assert [step.kind for step in reports.steps_of(tx, row.id)] == ["fetch"]
        assert tx.execute(sa.select(sa.func.count()).select_from(steps)).scalar_one() == 1
