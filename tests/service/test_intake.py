import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from service.domain.hints import Hint
from service.domain.states import Origin, StoryState, Verdict
from service.intake import Arrival, Delivery, Intake
from service.ledger import Ledger, forgetting, forgotten, receipts, reports, stories
from service.ledger.stories import NewStory
from service.ledger.tables import receipts as receipts_table
from service.webhook_url import RouteToken, SubmissionToken

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OURS = SubmissionToken("sub-1")
ROUTE = RouteToken("all")

Add = Callable[..., int]


@pytest.fixture
def intake(ledger: Ledger) -> Intake:
    return Intake(ledger, lambda: NOON)


@pytest.fixture
def add(ledger: Ledger) -> Add:
    def add(
        story_id: str | None = "story-1", state: StoryState = StoryState.OPEN, submission: str = "sub-1"
    ) -> int:
        with ledger.write() as tx:
            key = stories.add(tx, NewStory(submission, Origin.SUBMITTED, state, story_id=story_id), NOON)
        assert key is not None
        return key

    return add


def send(intake: Intake, body: object, token: SubmissionToken | RouteToken = OURS) -> Verdict:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return intake.receive(Delivery(token, raw, "application/json", "192.0.2.1"))


def fetches(ledger: Ledger, key: int) -> list[str]:
    with ledger.read() as tx:
        return [step.state for step in reports.steps_of(tx, key)]


def test_an_accepted_webhook_leaves_a_receipt_and_a_due_fetch(
    intake: Intake, ledger: Ledger, add: Add
) -> None:
    key = add()
    raw = b'{"batch_id": "story-1", "status": "success"}'
    assert send(intake, raw) == Verdict.ACCEPTED
    assert fetches(ledger, key) == ["pending"]
    with ledger.read() as tx:
        (receipt,) = receipts.of_story(tx, key)
        row = stories.read(tx, key)
    assert receipt.body == raw
    assert (receipt.verdict, receipt.token, receipt.claimed_id, receipt.claimed_status) == (
        "accepted",
        "submission",
        "story-1",
        "success",
    )
    assert row is not None
    assert (row.webhook_at, row.webhook_status) == (NOON, "success")


def test_the_same_webhook_fifty_times_at_once_is_one_fetch(intake: Intake, ledger: Ledger, add: Add) -> None:
    key = add()
    verdicts: list[Verdict] = []
    threads = [
        threading.Thread(
            target=lambda: verdicts.append(send(intake, {"batch_id": "story-1", "status": "success"}))
        )
        for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(verdicts) == [Verdict.ACCEPTED] + [Verdict.DUPLICATE] * 49
    assert fetches(ledger, key) == ["pending"]
    with ledger.read() as tx:
        assert len(receipts.of_story(tx, key)) == 50


def test_webhooks_of_one_transaction_are_judged_one_after_another(
    intake: Intake, ledger: Ledger, add: Add
) -> None:
    key, waiting = add(), add(None, StoryState.SUBMITTING, "sub-2")

    def arrival(token: SubmissionToken | RouteToken, hint: Hint | None, body: bytes) -> Arrival:
        return Arrival(Delivery(token, body, "text/plain", "192.0.2.1"), hint, NOON)

    verdicts = intake.record(
        [
            arrival(OURS, Hint("story-1", "success"), b'"\xc3\xbc\\u0000"'),
            arrival(OURS, None, b"\xff\x00"),
            arrival(ROUTE, Hint("story-9", None), b"{}"),
            arrival(OURS, Hint("story-1", "success"), b"{}"),
            arrival(RouteToken("other"), Hint("story-9", None), b"{}"),
            arrival(SubmissionToken("sub-2"), Hint("story-2", None), b"{}"),
            arrival(SubmissionToken("sub-2"), Hint("story-1", None), b"{}"),
            arrival(SubmissionToken("gone"), Hint("story-1", None), b"{}"),
            arrival(ROUTE, Hint(None, "success"), b"{}"),
            arrival(ROUTE, Hint("story-1", "fail"), b"{}"),
        ]
    )
    assert verdicts == [
        "accepted", "malformed", "accepted", "duplicate", "duplicate",
        "accepted", "mismatch", "unmatched", "unmatched", "accepted",
    ]  # fmt: skip
    with ledger.read() as tx:
        bodies = tx.execute(sa.select(receipts_table.c.body).order_by(receipts_table.c.id)).scalars().all()
        named, ours, other = (stories.find(tx, f"story-{number}") for number in (9, 1, 2))
    assert sorted(bodies) == sorted([b'"\xc3\xbc\\u0000"', b"\xff\x00", *[b"{}"] * 8])
    assert named is not None
    assert ours is not None
    assert other is not None
    assert (named.route, ours.webhook_status, other.id) == ("all", "fail", waiting)
    assert [fetches(ledger, story) for story in (key, waiting, named.id)] == [["pending"]] * 3


def test_of_two_submissions_that_claim_one_id_at_once_the_first_gets_it(
    intake: Intake, ledger: Ledger, add: Add
) -> None:
    add(None, StoryState.SUBMITTING, "sub-1")
    add(None, StoryState.SUBMITTING, "sub-2")
    both = [
        Arrival(Delivery(SubmissionToken(name), b"{}", "", ""), Hint("story-1", None), NOON)
        for name in ("sub-1", "sub-2")
    ]
    assert intake.record(both) == ["accepted", "mismatch"]
    with ledger.read() as tx:
        assert stories.find(tx, "story-1") is not None


def test_another_status_is_news(intake: Intake, add: Add) -> None:
    add()
    assert send(intake, {"id": "story-1", "status": "processing"}) == Verdict.ACCEPTED
    assert send(intake, {"id": "story-1", "status": "success"}) == Verdict.ACCEPTED


def test_a_submissions_token_without_an_id_means_its_own_story(
    intake: Intake, ledger: Ledger, add: Add
) -> None:
    key = add()
    assert send(intake, {"status": "success"}) == Verdict.ACCEPTED
    assert fetches(ledger, key) == ["pending"]


def test_another_id_is_a_mismatch_and_the_submissions_story_is_fetched(
    intake: Intake, ledger: Ledger, add: Add
) -> None:
    key, other = add(), add("story-2", submission="sub-2")
    assert send(intake, {"id": "story-2"}) == Verdict.MISMATCH
    assert (fetches(ledger, key), fetches(ledger, other)) == (["pending"], [])


@pytest.mark.parametrize("state", [StoryState.SUBMITTING, StoryState.UNCONFIRMED])
def test_a_webhook_that_beats_the_answer_brings_the_id(
    intake: Intake, ledger: Ledger, add: Add, state: StoryState
) -> None:
    key = add(None, state)
    assert send(intake, {"id": "story-1", "status": "success"}) == Verdict.ACCEPTED
    with ledger.read() as tx:
        row = stories.read(tx, key)
    assert row is not None
    assert (row.story_id, row.state) == ("story-1", StoryState.OPEN)
    assert fetches(ledger, key) == ["pending"]


def test_an_id_that_another_story_has_is_not_adopted(intake: Intake, ledger: Ledger, add: Add) -> None:
    add("story-1", submission="sub-0")
    key = add(None, StoryState.SUBMITTING)
    assert send(intake, {"id": "story-1"}) == Verdict.MISMATCH
    with ledger.read() as tx:
        row = stories.read(tx, key)
    assert row is not None
    assert row.story_id is None


def test_a_routes_token_makes_the_story_known_once(intake: Intake, ledger: Ledger) -> None:
    assert send(intake, {"data": {"id": "story-9"}}, ROUTE) == Verdict.ACCEPTED
    assert send(intake, {"data": {"id": "story-9"}}, ROUTE) == Verdict.DUPLICATE
    with ledger.read() as tx:
        row = stories.find(tx, "story-9")
        assert row is not None
        assert (row.origin, row.route, row.state) == ("webhook", "all", StoryState.OPEN)
        assert len(reports.steps_of(tx, row.id)) == 1


def test_a_forgotten_story_comes_back_for_a_person_alone(intake: Intake, ledger: Ledger) -> None:
    route, body = ROUTE, {"id": "story-9", "status": "success"}
    assert send(intake, body, route) == Verdict.ACCEPTED
    with ledger.write() as tx:
        found = stories.find(tx, "story-9")
        assert found is not None
        forgetting.forget_story(tx, found.id, NOON)
    assert send(intake, body, route) == Verdict.UNMATCHED
    with ledger.write() as tx:
        assert stories.find(tx, "story-9") is None
        forgotten.lift(tx, "story-9")
    assert send(intake, body, route) == Verdict.ACCEPTED


def test_a_routes_token_without_an_id_is_kept_as_unmatched(intake: Intake, ledger: Ledger) -> None:
    assert send(intake, {"status": "success"}, ROUTE) == Verdict.UNMATCHED
    with ledger.read() as tx:
        assert stories.counts(tx) == {}
        assert tx.execute(sa.select(receipts_table.c.verdict, receipts_table.c.token)).all() == [
            ("unmatched", "route:all")
        ]


def test_what_is_not_json_is_kept_as_well(intake: Intake, ledger: Ledger, add: Add) -> None:
    add()
    assert send(intake, b"\x00\xffnot json") == Verdict.MALFORMED
    with ledger.read() as tx:
        assert tx.execute(sa.select(receipts_table.c.body)).scalars().all() == [b"\x00\xffnot json"]


def test_control_characters_in_claims_do_not_reach_the_ledger(intake: Intake, ledger: Ledger) -> None:
    assert send(intake, {"id": "a\x00b\x1b[2J", "status": "s\x00"}, ROUTE) == Verdict.ACCEPTED
    with ledger.read() as tx:
        assert stories.find(tx, "ab[2J") is not None
