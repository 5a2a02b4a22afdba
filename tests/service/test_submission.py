import dataclasses
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from machine import free_port
from pydantic import SecretStr
from relayed import KEY, World, make_world
from scripted_api import ScriptedApi, scripted_api

from service import intake
from service.domain.hints import read_hint
from service.domain.people import SHELL
from service.domain.states import Origin, StoryState, Verdict
from service.intake import Delivery
from service.ledger import Ledger, LedgerDown, notices, reports, stories, story_list, troubles
from service.ledger.stories import NewStory, StoryRow
from service.ledger.story_list import Sought
from service.ledger.tables import stories as table
from service.outbound_http import HttpClient
from service.settings import SettingsError
from service.story_api import (
    IdeaToVideo,
    InsufficientCredit,
    Invalid,
    InvalidRequest,
    StoryApi,
    StoryApiError,
    Unauthorized,
    Unavailable,
)
from service.submission import AlreadyAsked, Submission, SubmissionInterrupted
from service.webhook_url import RouteToken, SubmissionToken, WebhookUrls
from service.wiring import assemble

FOX = IdeaToVideo(idea="A fox walks home", title="Fox", scene_count=2, scene_duration=4)
STORY = {"id": "story-1", "status": "new", "used_credits": 80}


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with scripted_api() as script:
        script.answer = lambda _body: (200, STORY)
        yield script


def world_on(url: str, tmp_path: Any, api: ScriptedApi) -> Iterator[World]:
    world = make_world(tmp_path, url, "", {"STORY_API_URL": api.url, "STORY_API_KEY": "a-key-of-the-tests"})
    yield world
    world.relay.ledger.close()


@pytest.fixture
def world(tmp_path, sqlite_url: str, api: ScriptedApi) -> Iterator[World]:
    yield from world_on(sqlite_url, tmp_path, api)


@pytest.fixture
def either(tmp_path, database_url: str, api: ScriptedApi) -> Iterator[World]:
    """A world on either database."""
    yield from world_on(database_url, tmp_path, api)


def rows(world: World) -> list[StoryRow]:
    with world.relay.ledger.read() as tx:
        return sorted(story_list.newest(tx, Sought(), 100), key=lambda row: row.id)


def only(world: World) -> StoryRow:
    (row,) = rows(world)
    return row


def webhook(world: World, submission: str, body: bytes) -> Verdict:
    return world.relay.intake.receive(Delivery(SubmissionToken(submission), body, "application/json", ""))


def while_it_submits(
    world: World, api: ScriptedApi, act: Callable[[str], object], said: Any = (200, STORY)
) -> None:
    """Has the Story API act, as with a webhook, before it answers the submission."""

    def answer(_body: dict[str, Any]) -> Any:
        act(rows(world)[-1].submission_id)
        return said

    api.answer = answer


def test_what_was_asked_is_kept_with_its_price_and_first_poll(either: World, api: ScriptedApi) -> None:
    submitted = either.submission.submit(FOX, route="all", labels={"team": "blue"})
    row = only(either)
    assert (submitted.key, submitted.submission_id) == (row.id, row.submission_id)
    assert (submitted.story_id, submitted.state, submitted.used_credits) == ("story-1", StoryState.OPEN, 80)
    assert (row.story_id, row.origin, row.kind, row.title) == ("story-1", "submitted", "idea", "Fox")
    assert (row.route, row.labels, row.expected_seconds) == ("all", {"team": "blue"}, 8)
    assert (row.estimated_credits, submitted.estimated_credits, row.used_credits) == (80, 80, 80)
    assert (row.next_poll_at - either.clock()).total_seconds() == 300
    assert row.request["idea"] == "A fox walks home"
    assert "webhook_url" not in row.request, "an address that opens our door is not kept"


def test_the_story_api_is_given_an_address_that_names_the_submission(world: World, api: ScriptedApi) -> None:
    submitted = world.submission.submit(FOX)
    (body,) = api.bodies
    assert body["webhook_url"] == submitted.webhook_url
    token = submitted.webhook_url.rpartition("/")[2]
    assert world.relay.webhook_urls.read(token) == SubmissionToken(submitted.submission_id)
    assert submitted.webhook_url not in repr(submitted)


def test_the_row_is_there_before_the_call(world: World, api: ScriptedApi) -> None:
    seen: list[tuple[str, Any]] = []
    while_it_submits(world, api, lambda _name: seen.append((only(world).state, only(world).story_id)))
    world.submission.submit(FOX)
    assert seen == [(StoryState.SUBMITTING, None)]


def test_a_submission_that_is_cancelled_before_its_answer_stays_cancelled(
    world: World, api: ScriptedApi
) -> None:
    while_it_submits(world, api, lambda _name: world.relay.story_actions(SHELL).cancel(only(world).id))
    world.submission.submit(FOX)
    row = only(world)
    assert (row.state, row.story_id, row.next_poll_at) == (StoryState.CANCELLED, "story-1", None)


def test_a_webhook_that_beats_the_answer(either: World, api: ScriptedApi) -> None:
    while_it_submits(
        either, api, lambda name: webhook(either, name, b'{"id": "story-1", "status": "success"}')
    )
    submitted = either.submission.submit(FOX)
    row = only(either)
    assert (submitted.story_id, submitted.state) == ("story-1", StoryState.OPEN)
    assert (row.state, row.story_id, row.webhook_status) == (StoryState.OPEN, "story-1", "success")
    assert row.next_poll_at is not None
    assert either.steps("story-1")["fetch"].state == "pending"


def test_a_webhook_without_an_id_that_beats_the_answer_is_polled_at_once(
    world: World, api: ScriptedApi
) -> None:
    while_it_submits(world, api, lambda name: webhook(world, name, b'{"status": "success"}'))
    world.submission.submit(FOX)
    assert only(world).next_poll_at == world.clock()


def test_the_answer_is_the_truth_where_a_webhook_named_another_id(world: World, api: ScriptedApi) -> None:
    def act(name: str) -> None:
        webhook(world, name, b'{"id": "another", "status": "success"}')
        with world.relay.ledger.write() as tx:
            stories.change(
                tx,
                only(world).id,
                world.clock(),
                not_found=2,
                not_found_since=world.clock(),
                next_poll_at=None,
            )

    while_it_submits(world, api, act)
    assert world.submission.submit(FOX).story_id == "story-1"
    row = only(world)
    assert (row.story_id, row.state, row.next_poll_at) == ("story-1", StoryState.OPEN, world.clock())
    assert (row.not_found, row.not_found_since) == (0, None), "what was counted was the other id's"
    world.reconcile()
    assert world.steps("story-1")["fetch"].next_at == world.clock()


def test_a_webhook_and_no_answer_is_a_story(world: World, api: ScriptedApi) -> None:
    while_it_submits(world, api, lambda name: webhook(world, name, b'{"id": "story-1"}'), said=None)
    submitted = world.submission.submit(FOX)
    assert (submitted.story_id, submitted.state) == ("story-1", StoryState.OPEN)
    assert only(world).state == StoryState.OPEN


REFUSALS = [
    (401, {"message": "no such key"}, Unauthorized),
    (402, {"message": "top up", "code": "INSUFFICIENT_CREDIT"}, InsufficientCredit),
    (422, {"detail": [{"loc": ["body", "idea"], "msg": "too rude", "type": "x"}]}, Invalid),
    (400, {"message": "bad", "code": "BAD_REQUEST"}, Invalid),
]


@pytest.mark.parametrize(("status", "body", "kind"), REFUSALS)
def test_a_refusal_cancels_says_why_and_stands_in_nobodys_way(
    world: World, api: ScriptedApi, status: int, body: Any, kind: type[StoryApiError]
) -> None:
    api.answer = lambda _body: (status, body)
    for _ in range(2):
        with pytest.raises(kind):
            world.submission.submit(FOX)
    first, second = rows(world)
    assert {first.state, second.state} == {StoryState.CANCELLED}
    assert str(status) in (first.message or "")
    assert "a-key-of-the-tests" not in (first.message or "")
    world.clock.move(4000)
    world.reconcile()
    assert reports_of(world) == {}, "nothing is asked of it any more"


def reports_of(world: World) -> dict[int, list[str]]:
    with world.relay.ledger.read() as tx:
        found = {row.id: [step.kind for step in reports.steps_of(tx, row.id)] for row in rows(world)}
    return {key: kinds for key, kinds in found.items() if kinds}


def unanswered(api: ScriptedApi, how: str) -> None:
    api.answer = {
        "broken off": lambda _body: None,
        "500": lambda _body: (500, {"message": "oops"}),
        "not a story": lambda _body: (200, {"ok": True}),
        "not JSON of theirs": lambda _body: (200, "hello"),
    }[how]


@pytest.mark.parametrize("how", ["broken off", "500", "not a story", "not JSON of theirs"])
def test_a_call_without_an_answer_is_never_repeated_silently(
    world: World, api: ScriptedApi, how: str
) -> None:
    unanswered(api, how)
    submitted = world.submission.submit(FOX)
    assert (submitted.story_id, submitted.state) == (None, StoryState.UNCONFIRMED)
    assert only(world).state == StoryState.UNCONFIRMED
    world.clock.move(3500)
    with pytest.raises(AlreadyAsked, match=submitted.submission_id):
        world.submission.submit(FOX)
    assert len(api.bodies) == 1
    world.submission.submit(IdeaToVideo(idea="Another fox"))
    assert len(api.bodies) == 2, "other requests pass"
    world.submission.submit(FOX, again=True)
    assert len(api.bodies) == 3, "who asks for it may pay again"
    world.clock.move(3700)
    world.submission.submit(FOX)
    assert len(api.bodies) == 4, "after an hour nobody is held up any more"


def test_a_slow_answer_is_no_answer(world: World, api: ScriptedApi) -> None:
    over = threading.Event()
    api.answer = lambda _body: (200, STORY) if over.wait(20) else None
    hasty = StoryApi(url=api.url, key="a-key-of-the-tests", http=HttpClient(), timeout=0.3)
    submitted = dataclasses.replace(world.submission, api=hasty).submit(FOX)
    over.set()
    assert submitted.state == StoryState.UNCONFIRMED
    assert webhook(world, submitted.submission_id, b'{"id": "story-1"}') == Verdict.ACCEPTED
    row = only(world)
    assert (row.state, row.story_id) == (StoryState.OPEN, "story-1"), "its webhook brings it back"


def test_what_never_left_is_cancelled(world: World) -> None:
    nobody = StoryApi(
        url=f"http://127.0.0.1:{free_port()}", key="a-key-of-the-tests", http=HttpClient(), timeout=5
    )
    with pytest.raises(Unavailable):
        dataclasses.replace(world.submission, api=nobody).submit(FOX)
    assert only(world).state == StoryState.CANCELLED


def test_an_address_that_the_story_api_would_refuse_is_not_sent(world: World, api: ScriptedApi) -> None:
    urls = WebhookUrls("ftp://relay.example", (KEY,), 30, {})
    with pytest.raises(InvalidRequest):
        dataclasses.replace(world.submission, urls=urls).submit(FOX)
    assert (only(world).state, api.bodies) == (StoryState.CANCELLED, [])


def test_without_keys_nothing_is_written_and_nothing_asked(world: World, api: ScriptedApi) -> None:
    settings = world.relay.settings.model_copy(update={"secret_keys": ()})
    keyless = assemble(settings, world.relay.configuration)
    with pytest.raises(SettingsError, match="SECRET_KEYS"):
        dataclasses.replace(world.submission, urls=keyless.webhook_urls).submit(FOX)
    assert (rows(world), api.bodies) == ([], [])


def test_an_id_that_the_ledger_knows_joins_the_two(either: World, api: ScriptedApi) -> None:
    while_it_submits(either, api, lambda _name: either.track("story-1"))
    submitted = either.submission.submit(FOX, route="all")
    ours, tracked = rows(either)
    assert (ours.state, ours.story_id) == (StoryState.CANCELLED, None)
    assert tracked.submission_id in (ours.message or "")
    assert (tracked.state, tracked.route, tracked.origin) == (StoryState.OPEN, "all", Origin.TRACKED)
    assert (submitted.key, submitted.story_id, submitted.state) == (ours.id, "story-1", StoryState.OPEN)
    assert either.steps("story-1")["fetch"].state == "pending"


@pytest.fixture
def shared(tmp_path, postgres_url: str, api: ScriptedApi) -> Iterator[World]:
    """A world whose ledger has several writers at once."""
    yield from world_on(postgres_url, tmp_path, api)


def route_webhook(body: bytes = b'{"id": "story-1", "status": "success"}') -> Delivery:
    return Delivery(RouteToken("all"), body, "application/json", "")


def when_it_looks(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Acts once, right after the submission has looked for the story in vain and before it writes the id."""
    look = stories.find
    waiting = [act]

    def find(tx: sa.Connection, story_id: str) -> StoryRow | None:
        found = look(tx, story_id)
        if waiting:
            waiting.pop()()
        return found

    monkeypatch.setattr(stories, "find", find)


def joined(world: World) -> bool:
    ours, heard = rows(world)
    assert heard.submission_id in (ours.message or "")
    return (ours.state, ours.story_id, heard.story_id, heard.state) == (
        StoryState.CANCELLED, None, "story-1", StoryState.OPEN,
    )  # fmt: skip


def test_a_routes_webhook_that_makes_the_story_known_at_the_same_instant(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    when_it_looks(monkeypatch, lambda: shared.relay.intake.receive(route_webhook()))
    submitted = shared.submission.submit(FOX)
    assert (submitted.story_id, submitted.state) == ("story-1", StoryState.OPEN)
    assert joined(shared)


def test_a_deadlock_with_webhooks_of_the_same_story_loses_nothing(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, verdicts = threading.Event(), list[Verdict]()
    hold = intake._hold

    def told(*given: Any) -> Any:
        made.set()  # the story of the route's webhook is made, and not committed yet
        return hold(*given)

    def come() -> None:
        arrivals = [
            intake.Arrival(delivery, read_hint(delivery.body), shared.clock())
            for delivery in (
                route_webhook(),
                Delivery(SubmissionToken(rows(shared)[0].submission_id), b"{}", "application/json", ""),
            )
        ]
        verdicts.extend(shared.relay.intake.record(arrivals))

    webhooks = threading.Thread(target=come)

    def start() -> None:
        webhooks.start()
        assert made.wait(30)

    monkeypatch.setattr(intake, "_hold", told)
    when_it_looks(monkeypatch, start)
    submitted = shared.submission.submit(FOX)
    webhooks.join(30)
    assert submitted.story_id == "story-1"
    assert len(verdicts) == 2
    assert [row.story_id for row in rows(shared)].count("story-1") == 1


def test_the_id_survives_in_the_log_when_the_ledger_goes_down_meanwhile(world: World) -> None:
    class Failing(Ledger):
        writes = 0

        def write(self) -> Any:
            self.writes += 1
            if self.writes > 1:
                raise sa.exc.OperationalError("", {}, Exception("gone"))
            return super().write()

    failing = Failing(world.relay.settings.database_url)
    with structlog.testing.capture_logs() as said, pytest.raises(LedgerDown):
        dataclasses.replace(world.submission, ledger=failing).submit(FOX)
    failing.close()
    assert [(event["log_level"], event["do"]) for event in said] == [("error", "storyrelay track story-1")]
    assert only(world).state == StoryState.SUBMITTING


@pytest.mark.parametrize("moment", ["before the call", "after the call"])
def test_a_process_that_is_killed_leaves_an_unconfirmed_submission(
    world: World, api: ScriptedApi, moment: str
) -> None:
    pid = os.fork()
    if pid == 0:
        die_while_submitting(world, moment)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert (only(world).state, len(api.bodies)) == (StoryState.SUBMITTING, int(moment == "after the call"))
    with pytest.raises(AlreadyAsked):
        world.submission.submit(FOX)
    world.clock.move(301)
    world.reconcile()
    assert only(world).state == StoryState.UNCONFIRMED
    with pytest.raises(AlreadyAsked):
        world.submission.submit(FOX)
    assert webhook(world, only(world).submission_id, b'{"id": "story-1"}') == Verdict.ACCEPTED
    assert only(world).state == StoryState.OPEN


def die_while_submitting(world: World, moment: str) -> None:
    """Submits in this child of fork, and ends in the middle of it."""
    relay = world.relay
    try:
        api = StoryApi(url=relay.settings.story_api_url, key="a-key-of-the-tests", http=HttpClient())

        class Deadly:
            def submit(self, request: Any, webhook_url: str) -> None:
                if moment == "after the call":
                    api.submit(request, webhook_url)
                os.kill(os.getpid(), signal.SIGKILL)

        Submission(relay.ledger, relay.settings, relay.webhook_urls, Deadly(), relay.now).submit(FOX)
    finally:
        os._exit(1)


def test_tracking_twice_is_one_story_that_is_fetched_again(either: World) -> None:
    first = either.track("story-1")
    second = either.track("story-1", route="all")
    assert (first.id, second.route) == (second.id, "all")
    assert either.track("story-1").route == "all", "no word of a route leaves the route"
    (row,) = rows(either)
    assert (row.origin, row.state) == (Origin.TRACKED, StoryState.OPEN)
    assert (row.next_poll_at - either.clock()).total_seconds() == 30
    assert len(reports_of(either)[row.id]) == 1


def test_two_rows_never_have_one_id(either: World) -> None:
    either.track("story-1")
    with either.relay.ledger.write() as tx:
        again = stories.add(
            tx, NewStory("other", Origin.WEBHOOK, StoryState.OPEN, story_id="story-1"), either.clock()
        )
        assert again is None
        assert tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 1


@pytest.mark.parametrize(
    ("asked_first", "state"), [(True, StoryState.UNCONFIRMED), (False, StoryState.CANCELLED)]
)
def test_who_interrupts_a_submission_is_told_what_the_ledger_has(
    world: World, api: ScriptedApi, asked_first: bool, state: StoryState
) -> None:
    asked, over = threading.Event(), threading.Event()
    api.answer = lambda _body: asked.set() or (over.wait(30) and None)
    http = HttpClient(stop=lambda: "Ctrl-C" if asked.is_set() or not asked_first else None)
    relay = world.relay
    submission = Submission(
        relay.ledger, relay.settings, relay.webhook_urls, StoryApi(url=api.url, key=KEY, http=http), relay.now
    )
    with pytest.raises(SubmissionInterrupted, match=f"`{state}`") as told:
        submission.submit(FOX)
    over.set()
    row = only(world)
    assert (row.state, told.value.state, told.value.submission_id) == (state, state, row.submission_id)
    assert f"storyrelay show {row.submission_id}" in str(told.value)
    assert "Ctrl-C" in (row.message or "")


def refuse(world: World, api: ScriptedApi, status: int, code: str) -> list[str]:
    """Submits, and is refused; returns what troubles then."""
    api.answer = lambda _body: (status, {"code": code, "message": "no"})
    with pytest.raises(StoryApiError):
        world.relay.submission().submit(FOX)
    return lasting(world)


def lasting(world: World) -> list[str]:
    with world.relay.ledger.read() as tx:
        return [each.kind for each in troubles.open_ones(tx)]


def test_a_refused_key_and_used_up_credits_trouble_until_a_story_is_accepted(
    world: World, api: ScriptedApi
) -> None:
    assert refuse(world, api, 401, "UNAUTHORIZED") == ["key_refused"]
    assert refuse(world, api, 402, "INSUFFICIENT_CREDIT") == ["key_refused", "credits_refused"]
    assert refuse(world, api, 402, "INSUFFICIENT_CREDIT") == ["key_refused", "credits_refused"]
    assert refuse(world, api, 422, "") == ["key_refused", "credits_refused"]
    with world.relay.ledger.read() as tx:
        assert len(notices.recent(tx, 9)) == 2
        assert "a-key-of-the-tests" not in str(notices.recent(tx, 9))
    api.answer = lambda _body: (200, STORY)
    world.relay.submission().submit(FOX)
    assert lasting(world) == []


def test_a_process_without_a_key_alarms_nobody(world: World) -> None:
    keyless = world.relay.settings.model_copy(update={"story_api_key": SecretStr("")})
    with pytest.raises(Unauthorized):
        dataclasses.replace(world.relay, settings=keyless).submission().submit(FOX)
    assert lasting(world) == []
