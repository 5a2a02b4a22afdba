"""Submissions: each is asked for once, whatever comes between."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from relayed import World
from scripted_api import ScriptedApi

from service.domain.people import SHELL
from service.domain.states import StoryState
from service.ledger import people, stories, story_list, submit_keys
from service.ledger.api_tables import submit_keys as key_table
from service.ledger.story_list import Sought
from service.web.api import submitting
from service.web.api.idempotency import Keyed

BODY = {"kind": "idea", "request": {"idea": "A fox walks home"}, "route": "all", "labels": {"team": "brand"}}
ACCEPTED = {"id": "story-1", "status": "processing", "used_credits": 150}


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs, and nothing catches it."""


def killed(*_: object) -> None:
    raise Killed


def kill(
    program: Any, patch: pytest.MonkeyPatch, owner: object, name: str, at: Callable[..., None] = killed
) -> None:
    """Submits, and dies where `name` is reached."""
    with patch.context() as within:
        within.setattr(owner, name, at)
        with pytest.raises(Killed):
            program.post("/stories", BODY, **key("a"))


def rows(world: World) -> list[stories.StoryRow]:
    with world.relay.ledger.read() as tx:
        return story_list.newest(tx, Sought(), 100)


def cancel(world: World) -> int:
    (row,) = rows(world)
    world.relay.story_actions(SHELL).cancel(row.id)
    return row.id


def forget(world: World) -> None:
    world.relay.story_actions(SHELL).forget(cancel(world))


def key(name: str) -> dict:
    return {"headers": {"Idempotency-Key": name}}


@pytest.fixture(autouse=True)
def accepts(story_api: ScriptedApi) -> None:
    story_api.answer = lambda _body: (200, ACCEPTED)


def test_a_submission_is_in_the_ledger_with_all_its_options(program, world: World) -> None:
    answer = program.post("/stories", BODY)
    assert answer.status_code == 201, answer.text
    assert answer.json["story_id"] == "story-1"
    assert answer.json["estimated_credits"] == 150
    (row,) = rows(world)
    assert (row.route, row.labels, row.state) == ("all", {"team": "brand"}, StoryState.OPEN)
    with world.relay.ledger.read() as tx:
        deed = people.deeds(tx, 1)[0][1]
    assert (deed.who, deed.action) == ("token t0", "submit")


def test_a_dry_run_sends_nothing(program, world: World, story_api: ScriptedApi) -> None:
    answer = program.post("/stories", {**BODY, "dry_run": True})
    assert answer.status_code == 200
    assert answer.json["request"] == {"idea": "A fox walks home"}
    assert answer.json["estimate"]["credits"] == 150
    assert story_api.bodies == []
    assert rows(world) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"route": "nowhere"}, "route"),
        ({"labels": {"a b": "c"}}, "idea.labels.a b.[key]"),
        ({"request": {"idea": "x", "colour": "red"}}, "request.colour"),
        ({"request": {"idea": " "}}, "request.idea"),
        ({"again": 1}, "idea.again"),
    ],
)
def test_what_is_wrong_is_told_by_field_and_not_sent(program, story_api, change, field) -> None:
    answer = program.post("/stories", {**BODY, **change})
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json["errors"]] == [field]
    assert story_api.bodies == []


def test_the_same_key_and_body_are_answered_the_same_and_asked_for_once(program, world, story_api) -> None:
    first = program.post("/stories", BODY, **key("a"))
    turned = dict(reversed(BODY.items()))
    again = program.post("/stories", turned, **key("a"))
    assert (again.status_code, again.text) == (first.status_code, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert len(story_api.bodies) == len(rows(world)) == 1


def test_the_same_key_with_another_body_is_refused(program, story_api) -> None:
    program.post("/stories", BODY, **key("a"))
    answer = program.post("/stories", {**BODY, "labels": {}}, **key("a"))
    assert answer.status_code == 422
    assert answer.json["type"].endswith("key-reused")
    assert len(story_api.bodies) == 1


def test_a_key_is_forgotten_after_a_day_and_is_one_tokens_own(program, with_scopes, world, story_api) -> None:
    story_api.answer = lambda _body: (200, {**ACCEPTED, "id": f"story-{len(story_api.bodies)}"})
    other = with_scopes("submit")
    assert program.post("/stories", BODY, **key("a")).json["story_id"] == "story-1"
    assert other.post("/stories", BODY, **key("a")).json["story_id"] == "story-2"
    world.clock.move(submit_keys.KEPT.total_seconds())
    assert program.post("/stories", BODY, **key("a")).json["story_id"] == "story-3"
    with world.relay.ledger.read() as tx:
        assert len(tx.execute(key_table.select()).all()) == 1


def test_a_call_that_is_under_way_is_told_and_not_repeated(program, app, story_api: ScriptedApi) -> None:
    asked, answer_now, answers = threading.Event(), threading.Event(), []

    def slowly(_body: dict) -> tuple[int, dict]:
        asked.set()
        answer_now.wait(60)
        return 200, ACCEPTED

    story_api.answer = slowly
    first = threading.Thread(target=lambda: answers.append(program.post("/stories", BODY, **key("a"))))
    first.start()
    assert asked.wait(60)
    program.client = app.test_client()
    meanwhile = program.post("/stories", BODY, **key("a"))
    answer_now.set()
    first.join()
    assert meanwhile.status_code == 409
    assert meanwhile.json["type"].endswith("in-progress")
    assert meanwhile.headers["Retry-After"]
    assert answers[0].status_code == 201
    assert len(story_api.bodies) == 1


def test_killed_before_the_answer_was_kept_the_ledger_answers(program, story_api, monkeypatch) -> None:
    kill(program, monkeypatch, submit_keys, "keep")
    again = program.post("/stories", BODY, **key("a"))
    assert again.status_code == 201
    assert again.json["story_id"] == "story-1"
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(story_api.bodies) == 1


def test_killed_before_the_call_left_it_is_under_way_then_unconfirmed_and_never_sent_twice(
    program, world: World, story_api, monkeypatch
) -> None:
    kill(program, monkeypatch, submitting.Submission, "_ask")
    assert program.post("/stories", BODY, **key("a")).status_code == 409
    world.clock.move(301)
    world.reconcile()
    answer = program.post("/stories", BODY, **key("a"))
    assert (answer.status_code, answer.json["state"]) == (202, "unconfirmed")
    assert story_api.bodies == []


def test_killed_before_the_answer_was_kept_a_story_that_others_made_known_meanwhile_is_the_answer(
    program, world: World, story_api, monkeypatch
) -> None:
    def known_meanwhile(_body: dict) -> tuple[int, dict]:
        world.track("story-1")
        return 200, ACCEPTED

    story_api.answer = known_meanwhile
    kill(program, monkeypatch, submit_keys, "keep")
    mine, known = sorted(rows(world), key=lambda row: row.id)
    assert (mine.state, known.state) == (StoryState.CANCELLED, StoryState.OPEN)
    again = program.post("/stories", BODY, **key("a"))
    assert (again.status_code, again.json["story_id"], again.json["state"]) == (201, "story-1", "open")
    assert (again.json["submission_id"], again.json["estimated_credits"]) == (known.submission_id, 150)
    assert len(story_api.bodies) == 1


@pytest.mark.parametrize(
    ("owner", "place", "status", "story_id"),
    [(submit_keys, "keep", 201, "story-1"), (submitting.Submission, "_record", 202, None)],
)
def test_killed_before_the_answer_was_kept_and_cancelled_since_it_was_asked_for_all_the_same(
    program, world: World, story_api, monkeypatch, owner, place, status, story_id
) -> None:
    kill(program, monkeypatch, owner, place)
    cancel(world)
    again = program.post("/stories", BODY, **key("a"))
    assert (again.status_code, again.json["story_id"], again.json["state"]) == (status, story_id, "cancelled")
    assert len(story_api.bodies) == 1


def test_killed_before_a_refusal_was_kept_nothing_was_made(program, story_api, monkeypatch) -> None:
    story_api.answer = lambda _body: (402, {"code": "INSUFFICIENT_CREDIT", "message": "no credits"})
    kill(program, monkeypatch, submit_keys, "keep")
    again = program.post("/stories", BODY, **key("a"))
    assert again.status_code == 502
    assert again.json["detail"].startswith("nothing was made: ")
    assert len(story_api.bodies) == 1


def test_killed_before_trouble_that_passes_was_told_the_key_may_try_again(
    program, story_api, monkeypatch
) -> None:
    made = story_api.answer
    story_api.answer = lambda _body: (429, {"code": "REACHED_LIMIT", "message": "wait"})
    kill(program, monkeypatch, Keyed, "_failed")
    story_api.answer = made
    again = program.post("/stories", BODY, **key("a"))
    assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (201, None)


def test_a_forgotten_storys_key_tells_nothing_of_it_and_asks_for_nothing_until_its_day_is_over(
    program, world: World, story_api
) -> None:
    program.post("/stories", BODY, **key("a"))
    forget(world)
    again = program.post("/stories", BODY, **key("a"))
    assert (again.status_code, again.json["type"]) == (410, "urn:storyrelay:problem:forgotten")
    with world.relay.ledger.read() as tx:
        (kept,) = tx.execute(key_table.select()).mappings().all()
    assert (kept["story"], kept["status"], kept["answer"], kept["refused"]) == (None, 201, None, None)
    assert len(story_api.bodies) == 1
    world.clock.move(submit_keys.KEPT.total_seconds())
    assert program.post("/stories", BODY, **key("a")).status_code == 201
    assert len(story_api.bodies) == 2


def test_a_story_forgotten_before_its_answer_was_kept_is_not_told_of_by_the_answer(
    program, world: World, story_api, monkeypatch
) -> None:
    keep = Keyed._keep

    def forgotten_before(*arguments: Any) -> None:
        forget(world)
        keep(*arguments)

    with monkeypatch.context() as within:
        within.setattr(Keyed, "_keep", forgotten_before)
        assert program.post("/stories", BODY, **key("a")).status_code == 201
    assert program.post("/stories", BODY, **key("a")).status_code == 410
    assert len(story_api.bodies) == 1


def test_killed_within_the_transaction_nothing_is_there_and_the_key_is_free(
    program, world, story_api, monkeypatch
) -> None:
    take = submit_keys.take

    def killed_after(*arguments: object) -> None:
        take(*arguments)
        raise Killed

    kill(program, monkeypatch, submit_keys, "take", killed_after)
    assert rows(world) == []
    assert program.post("/stories", BODY, **key("a")).status_code == 201
    assert len(story_api.bodies) == 1


def test_two_that_race_for_a_key_ask_once(program, world: World, story_api, monkeypatch) -> None:
    known = submit_keys.find
    program.post("/stories", BODY, **key("a"))
    looks = []

    def blind_once(*arguments: object) -> object:
        looks.append(1)
        return None if len(looks) == 1 else known(*arguments)

    monkeypatch.setattr(submit_keys, "find", blind_once)
    again = program.post("/stories", BODY, **key("a"))
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(story_api.bodies) == len(rows(world)) == 1


@pytest.mark.parametrize(
    ("said", "status", "is_kept"),
    [
        ((402, {"code": "INSUFFICIENT_CREDIT", "message": "no credits"}), 402, True),
        ((422, {"code": "INVALID", "message": "no such tool"}), 422, True),
        ((401, {"message": "who are you"}), 502, True),
        ((429, {"code": "REACHED_LIMIT", "message": "wait"}), 503, False),
    ],
)
def test_a_refusal_is_kept_where_the_story_api_was_there_to_refuse(
    program, world, story_api, said, status, is_kept
) -> None:
    story_api.answer = lambda _body: said
    first = program.post("/stories", BODY, **key("a"))
    assert first.status_code == status, first.text
    assert first.content_type == "application/problem+json"
    assert "planted" not in first.text
    asked = len(story_api.bodies)
    again = program.post("/stories", BODY, **key("a"))
    assert again.status_code == status
    assert json.loads(again.text)["type"] == json.loads(first.text)["type"]
    assert (len(story_api.bodies) == asked) is is_kept
    assert [row.state for row in rows(world)] == [StoryState.CANCELLED] * (1 if is_kept else 2)


def test_an_answer_that_never_came_is_unconfirmed_and_not_asked_for_again(program, story_api) -> None:
    story_api.answer = lambda _body: None
    first = program.post("/stories", BODY)
    assert (first.status_code, first.json["state"]) == (202, "unconfirmed")
    asked = len(story_api.bodies)
    twin = program.post("/stories", BODY)
    assert (twin.status_code, twin.json["type"]) == (409, "urn:storyrelay:problem:already-asked")
    assert len(story_api.bodies) == asked
    assert program.post("/stories", {**BODY, "again": True}).status_code == 202


@pytest.mark.parametrize("bad", ["", " ", "a b", "x" * 256])
def test_a_key_that_is_none_is_refused(program, story_api, bad: str) -> None:
    answer = program.post("/stories", BODY, **key(bad))
    if bad.strip():
        assert answer.status_code == 422
        assert story_api.bodies == []


def test_a_price_and_an_adopted_story(program, world: World, story_api: ScriptedApi) -> None:
    price = program.post("/estimates", {"kind": "images", "request": {"image_urls": ["https://e.com/1.jpg"]}})
    assert (price.status_code, price.json["credits"]) == (200, 50)
    assert program.post("/tracked", {"id": "no", "route": "nowhere"}).status_code == 422
    story_api.answer = lambda _body: (404, {"code": "NOT_FOUND", "message": "no"})
    assert program.post("/tracked", {"id": "story-9"}).status_code == 404
    made = program.post("/tracked", {"id": "story-9", "unseen": True})
    assert (made.status_code, made.json["known"]) == (201, False)
    again = program.post("/tracked", {"id": "story-9"})
    assert (again.status_code, again.json["known"]) == (200, True)
    assert len(world.queue.jobs) == 1
