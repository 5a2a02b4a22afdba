"""Who may call, and what is refused before any call begins."""

import json
import threading
from dataclasses import replace

import pytest
from flask import Flask
from relayed import World
from werkzeug.test import TestResponse

from service.api_tokens import ApiTokens
from service.domain.api_tokens import Scope
from service.web import create_app
from service.web.api import gate, problems
from service.web.api.gate import CALLS_A_SECOND, LARGEST_BODY
from service.web.slow_lane import Busy, SlowLane
from service.web.webhooks import TokenMeter


def problem(answer: TestResponse, status: int, kind: str = "") -> dict:
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    told = json.loads(answer.text)
    assert set(told) >= {"type", "title", "status", "detail", "instance"}
    assert told["status"] == status
    assert told["type"] == (f"urn:storyrelay:problem:{kind}" if kind else "about:blank")
    return told


@pytest.mark.parametrize("sent", ["", "Basic dTpw", "Bearer", "Bearer  ", "Bearer srt_wrong", "srt_x"])
def test_no_good_token_no_answer(app: Flask, sent: str) -> None:
    answer = app.test_client().get("/api/v1/stories", headers={"Authorization": sent} if sent else {})
    problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="storyrelay"')


def test_a_removed_and_an_expired_token_are_refused(with_scopes, world: World) -> None:
    short, removed = with_scopes(Scope.READ, days=1), with_scopes(Scope.READ)
    assert short.get("/stories").status_code == removed.get("/stories").status_code == 200
    ApiTokens(world.relay.ledger, world.relay.now).remove("t1", "ada")
    world.clock.move(86400)
    for program, why in ((short, "expired"), (removed, "not known")):
        answer = program.get("/stories")
        assert why in problem(answer, 401, "unauthorized")["detail"]
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("get", "/stories", Scope.READ),
        ("get", "/stories/x", Scope.READ),
        ("get", "/receipts", Scope.READ),
        ("get", "/notices", Scope.READ),
        ("get", "/troubles", Scope.READ),
        ("get", "/destinations", Scope.READ),
        ("post", "/estimates", Scope.READ),
        ("post", "/stories", Scope.SUBMIT),
        ("post", "/tracked", Scope.SUBMIT),
        ("post", "/stories/x/replay", Scope.OPERATE),
        ("post", "/stories/x/withdraw", Scope.OPERATE),
        ("post", "/stories/x/fetch", Scope.OPERATE),
        ("post", "/stories/x/cancel", Scope.OPERATE),
        ("post", "/bulk-replays", Scope.OPERATE),
        ("get", "/bulk-replays", Scope.READ),
        ("get", "/bulk-replays/1", Scope.READ),
        ("post", "/bulk-replays/1/cancel", Scope.OPERATE),
        ("get", "/receipts/1", Scope.READ),
        ("post", "/destinations/shelf/test", Scope.OPERATE),
    ],
)
def test_each_call_takes_its_scope_and_no_other_gives_it(with_scopes, method, path, needed) -> None:
    others = with_scopes(*(scope for scope in Scope if scope != needed))
    answer = getattr(others, method)(path)
    assert needed in problem(answer, 403, "insufficient-scope")["detail"]
    assert f'scope="{needed}"' in answer.headers["WWW-Authenticate"]
    assert getattr(with_scopes(needed), method)(path).status_code not in (401, 403)


def test_every_call_says_which_scope_it_takes(app: Flask) -> None:
    calls = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("api.")]
    assert len(calls) > 8
    assert all(app.view_functions[rule.endpoint].needed_scope in Scope for rule in calls)


def test_what_is_nowhere_and_what_is_not_allowed_are_problems(program, app: Flask) -> None:
    assert problem(program.get("/nothing"), 404)["instance"] == "/api/v1/nothing"
    answer = app.test_client().delete("/api/v1/stories")
    problem(answer, 405)
    assert "POST" in answer.headers["Allow"]
    outside = app.test_client().get("/nothing")
    assert outside.content_type == "application/json"


def test_only_json_objects_of_a_sane_size_are_read(program) -> None:
    kind = {"content_type": "application/json"}
    problem(program.post("/estimates", data="a=b", content_type="application/x-www-form-urlencoded"), 415)
    problem(program.post("/estimates", data=b" " * (LARGEST_BODY + 1), **kind), 413)
    for broken in (b"{", b"\xff", b"[" * 100_000, b'{"a": NaN}', b'{"a": ' + b"9" * 5000 + b"}"):
        problem(program.post("/estimates", data=broken, **kind), 400)
    for no_object in (b"[]", b"3", b'"{}"', b"null"):
        problem(program.post("/estimates", data=no_object, **kind), 422, "invalid-request")
    problem(program.post("/estimates"), 422, "invalid-request")


@pytest.mark.parametrize("text", ["\0", "\ud800"])
def test_what_no_ledger_can_keep_is_refused_wherever_it_stands(program, text: str) -> None:
    for body in ({"kind": "idea", "request": {"idea": text}}, {text: 1}, {"a": [{"b": text}]}):
        problem(program.post("/estimates", body), 422, "invalid-request")


def test_unknown_fields_and_wrong_values_are_listed(program) -> None:
    told = problem(program.get("/stories?limit=0&colour=red&state=lost"), 422, "invalid-request")
    assert {each["field"] for each in told["errors"]} == {"limit", "colour", "state.0"}
    told = problem(program.post("/tracked", {"id": 3, "colour": "red"}), 422, "invalid-request")
    assert {each["field"] for each in told["errors"]} == {"id", "colour"}


def test_a_token_has_its_share_of_each_second(with_scopes, world: World, monkeypatch) -> None:
    monkeypatch.setattr(gate, "TokenMeter", lambda rate: TokenMeter(rate, lambda: world.clock().timestamp()))
    app = create_app(world.relay)
    one, other = (replace(with_scopes(Scope.READ), client=app.test_client()) for _ in range(2))
    assert {one.get("/notices").status_code for _ in range(CALLS_A_SECOND)} == {200}
    refused = one.get("/notices")
    problem(refused, 429)
    assert refused.headers["Retry-After"] == "1"
    assert other.get("/notices").status_code == 200
    world.clock.move(1)
    assert one.get("/notices").status_code == 200


def test_a_mistake_of_ours_is_a_problem_that_tells_nothing(program, app: Flask, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a planted secret")

    monkeypatch.setattr("service.web.api.story_calls.stories.of_keys", broken)
    told = problem(program.get("/stories"), 500)
    assert "planted" not in json.dumps(told)


def test_a_ledger_that_is_down_is_told_without_its_address(program, world: World) -> None:
    with world.relay.ledger.write() as tx:
        tx.exec_driver_sql("DROP TABLE api_tokens" + (" CASCADE" if tx.dialect.name == "postgresql" else ""))
    answer = program.get("/stories")
    assert answer.status_code in (500, 503)
    assert "sqlite" not in answer.text.lower()
    assert "api_tokens" not in answer.text


def test_calls_that_wait_for_others_leave_room_for_webhooks() -> None:
    lane, inside, leave = SlowLane(1), threading.Event(), threading.Event()

    def wait() -> None:
        with lane.place():
            inside.set()
            leave.wait(30)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert inside.wait(30)
    with pytest.raises(Busy) as busy, lane.place():
        raise AssertionError("there is no second place")
    assert problems.of_error(busy.value).status == 503
    leave.set()
    waiting.join()
    with lane.place():
        assert True


def test_the_document_is_open_to_all(app: Flask, world: World) -> None:
    answer = create_app(world.relay).test_client().get("/api/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.json["openapi"] == "3.1.0"
