"""Webhooks as the provider sends them, and the ways in which they go wrong."""

from datetime import datetime

import pytest

from service.emulator.announcements import Announcement, announcements
from service.emulator.faults import parse_faults


def submit(caller, receiver, faults="", **fields):
    return caller.submit(
        f"A fox walks. [fault:{faults}]" if faults else "A fox.", webhook_url=receiver.url, **fields
    )


def test_a_webhook_tells_customer_story_and_status(shared, receiver):
    story_id = submit(shared, receiver)["id"]
    got = receiver.next()
    assert got.json == {
        "customer_id": shared.server.story(story_id).customer_id,
        "batch_id": story_id,
        "status": "success",
    }
    assert got.headers["Content-Type"] == "application/json"
    assert shared.get(story_id).json["status"] == "success"


def test_a_story_without_a_webhook_url_sends_none(shared, receiver):
    shared.finished(shared.submit()["id"])
    submit(shared, receiver)
    receiver.next()
    assert receiver.waiting == 0


def test_a_webhook_is_repeated_until_it_is_answered_2xx(shared, receiver):
    receiver.answers[:] = [500, 302, 204]
    story_id = submit(shared, receiver)["id"]
    deliveries = shared.until(
        lambda: len(shared.server.story(story_id).webhooks) == 3 and shared.server.story(story_id)
    )
    assert [(d.attempt, d.answer, d.taken) for d in deliveries.webhooks] == [
        (1, 500, False),
        (2, 302, False),
        (3, 204, True),
    ]
    assert len({receiver.next().body for _ in range(3)}) == 1


def test_repeats_end(shared, receiver):
    receiver.answers[:] = [500] * 9
    story_id = submit(shared, receiver)["id"]
    for _ in range(4):
        receiver.next()
    shared.until(lambda: len(shared.server.story(story_id).webhooks) == 4)
    submit(shared, receiver)
    assert receiver.next().json["batch_id"] != story_id


def test_a_receiver_that_is_not_there_is_noted(start):
    caller = start(webhook_pauses=())
    story_id = caller.submit(webhook_url="http://127.0.0.1:1/")["id"]
    delivery = caller.until(lambda: caller.server.story(story_id).webhooks)[0]
    assert delivery.answer is None
    assert "refused" in delivery.error


@pytest.mark.parametrize("url", ["http://a..b/", "http://" + "x" * 70 + "/"])
def test_a_host_that_cannot_be_is_noted(start, url):
    caller = start(webhook_pauses=())
    story_id = caller.submit(webhook_url=url)["id"]
    assert caller.until(lambda: caller.server.story(story_id).webhooks)[0].error


def test_a_receiver_that_is_too_slow_is_asked_again(start, receiver):
    caller = start(webhook_timeout=0.05, webhook_pauses=(0.01,))
    receiver.open.clear()
    story_id = submit(caller, receiver)["id"]
    deliveries = caller.until(
        lambda: len(caller.server.story(story_id).webhooks) == 2 and caller.server.story(story_id)
    ).webhooks
    assert [d.answer for d in deliveries] == [None, None]
    assert "timed out" in deliveries[0].error


def test_never(shared, receiver):
    silent = submit(shared, receiver, "webhook-never")["id"]
    shared.finished(silent)
    loud = submit(shared, receiver)["id"]
    assert receiver.next().json["batch_id"] == loud
    assert receiver.waiting == 0


@pytest.mark.parametrize(("fault", "times"), [("webhook-twice", 2), ("webhook-twice=5", 5)])
def test_twice(shared, receiver, fault, times):
    submit(shared, receiver, fault)
    receiver.open.clear()
    bodies = {receiver.next().body for _ in range(times)}
    assert len(bodies) == 1


def test_late(shared, receiver):
    story_id = submit(shared, receiver, "webhook-late=0.1")["id"]
    ended = datetime.fromisoformat(shared.finished(story_id)["updated_at"])
    assert receiver.next().json["batch_id"] == story_id
    delivery = shared.until(lambda: shared.server.story(story_id).webhooks)[0]
    assert (delivery.at - ended).total_seconds() >= 0.1


@pytest.mark.parametrize(
    ("faults", "wanted"),
    [
        ("", (Announcement(0, ("success",)),)),
        ("webhook-never", ()),
        ("webhook-early", ()),
        ("webhook-late=4 webhook-twice", (Announcement(4, ("success",)),) * 2),
        ("webhook-out-of-order", (Announcement(0, ("success", "processing")),)),
        ("webhook-never webhook-twice", ()),
    ],
)
def test_what_a_story_sends_when_it_ends(faults, wanted):
    assert announcements(parse_faults(faults), "success") == wanted


def test_early_comes_before_the_answer_to_the_submission(start, receiver):
    caller = start(story_seconds=60)
    seen_before_the_answer = []
    receiver.answers.append(202)
    answer = submit(caller, receiver, "webhook-early")
    seen_before_the_answer.append(receiver.waiting)
    got = receiver.next().json
    assert seen_before_the_answer == [1]
    assert (got["batch_id"], got["status"]) == (answer["id"], "success")
    assert caller.get(answer["id"]).json["status"] != "success"


def test_early_sends_no_second_one_at_the_end(shared, receiver):
    early = submit(shared, receiver, "webhook-early")["id"]
    shared.finished(early)
    submit(shared, receiver)
    assert [receiver.next().json["batch_id"] for _ in range(2)].count(early) == 1


def test_out_of_order(shared, receiver):
    story_id = submit(shared, receiver, "webhook-out-of-order")["id"]
    assert [receiver.next().json["status"] for _ in range(2)] == ["success", "processing"]
    assert shared.get(story_id).json["status"] == "success"


def test_shapes(shared, receiver):
    story_id = submit(shared, receiver, "webhook-data webhook-text")["id"]
    wrapped = receiver.next()
    assert wrapped.json["data"]["batch_id"] == story_id
    assert wrapped.headers["Content-Type"].startswith("text/plain")
    story_id = submit(shared, receiver, "webhook-story", title="Ünïcode")["id"]
    whole = receiver.next().json
    assert (whole["id"], whole["status"], whole["title"]) == (story_id, "success", "Ünïcode")
    assert "batch_id" not in whole
    assert whole["video_url"]
    story_id = submit(shared, receiver, "webhook-flat")["id"]
    assert receiver.next().json["batch_id"] == story_id


def test_a_story_that_fails_says_so(shared, receiver):
    submit(shared, receiver, "fail")
    assert receiver.next().json["status"] == "fail"
