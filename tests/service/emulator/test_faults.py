"""How faults are written, and those of the API itself."""

import http.client
import json
import threading
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.emulator import BadFault, EmulatorOptions, EmulatorServer
from service.emulator.faults import KINDS, parse_chances, parse_faults, split_markers


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("webhook-never", {"webhook-never": "1"}),
        ("webhook-never, video-cut=1", {"webhook-never": "1", "video-cut": "1"}),
        ("webhook-late=3 video-url-late=0.5", {"webhook-late": "3", "video-url-late": "0.5"}),
        ("fail=no picture, sorry webhook-twice", {"fail": "no picture, sorry", "webhook-twice": "2"}),
        ("video-url-expires=after-2", {"video-url-downloads": "2"}),
        ("Video-URL-Expires", {"video-url-expires": "1"}),
    ],
)
def test_faults_are_read(text, values):
    assert parse_faults(text).values == values


@pytest.mark.parametrize(
    "text", ["nothing", "webhook-late=soon", "webhook-late=-1", "api-burst=1e9", "video-url-expires=after-x"]
)
def test_wrong_faults_are_named(text):
    with pytest.raises(BadFault, match=text.split("=")[0]):
        parse_faults(text)


def test_markers_are_cut_and_add_up():
    text, faults = split_markers("A fox [fault:webhook-never] walks. [FAULT: fail=too dark ] [not: one] End.")
    assert text == "A fox walks. [not: one] End."
    assert faults.values == {"webhook-never": "1", "fail": "too dark"}


@given(st.text())
def test_any_idea_is_read_or_refused(text):
    try:
        cut, _ = split_markers(text)
    except BadFault:
        return
    assert len(cut) <= len(text)


def test_chances_are_probabilities_of_known_faults():
    assert parse_chances({"webhook-late:7": 0.5})[0].value == "7"
    for wrong in ({"webhook-never": 1.5}, {"webhook-never": -0.1}, {"nothing": 0.5}, {"webhook-late:x": 0.5}):
        with pytest.raises(BadFault):
            parse_chances(wrong)
    with pytest.raises(BadFault):
        EmulatorServer(EmulatorOptions(faults={"nothing": 1}))


def test_every_default_is_a_value_of_its_kind():
    for name in KINDS:
        assert name in parse_faults(name)


def test_markers_stay_out_of_what_is_shown(shared):
    story = shared.finished(shared.submit("A fox [fault:webhook-never] walks.")["id"])
    assert story["idea"] == "A fox [fault:webhook-never] walks."
    assert "fault" not in json.dumps(story["storyboard"])
    assert story["storyboard"]["scenes"][0]["narrator"] == "A fox walks."


def test_the_header_asks_for_faults_and_wins_over_the_marker(shared):
    answer = shared.post(
        "/v2/story/idea-2-video",
        {"idea": "A fox. [fault:fail=marker video-cut]", "scene_count": 1, "scene_duration": 1},
        X_Emulator_Faults="fail=header",
    )
    story = shared.finished(answer.json["id"])
    assert story["message"] == "header"
    assert "video-cut" in shared.server.story(story["id"]).faults


def test_a_story_fails_with_its_message_and_without_a_video(shared):
    story = shared.finished(shared.submit("A fox. [fault:fail=the fox ran away]")["id"])
    assert (story["status"], story["message"]) == ("fail", "the fox ran away")
    assert "video_url" not in story
    assert story["progress_percentage"] < 100


def test_a_story_is_accepted_and_then_unknown(shared):
    story = shared.submit("A fox. [fault:unknown]")
    answer = shared.get(story["id"])
    assert (answer.status, answer.json["code"]) == (404, "NOT_FOUND")


def test_the_video_url_comes_after_success(shared):
    for wait in (60, 0.02):
        story_id = shared.submit(f"A fox. [fault:video-url-late={wait}]")["id"]
        early = shared.until(lambda s=story_id: (s := shared.get(s).json)["status"] == "success" and s)
        if wait == 60:
            assert early["video_url"] == ""
    assert shared.finished(story_id)["video_url"]


def test_a_burst_answers_429_and_500_in_turn_and_ends(shared):
    story_id = shared.submit("A fox. [fault:api-burst=3]")["id"]
    answers = [shared.get(story_id) for _ in range(4)]
    assert [a.status for a in answers] == [429, 500, 429, 200]
    assert answers[0].headers["Retry-After"] == "1"
    assert answers[0].json["code"] == "REACHED_LIMIT"
    assert shared.server.story(story_id).gets == 4


def test_submit_500_makes_nothing_or_all_the_same(start):
    caller = start()
    body = {"scene_count": 1, "scene_duration": 1}
    nothing = caller.post("/v2/story/idea-2-video", {"idea": "A fox. [fault:submit-500]", **body})
    assert (nothing.status, caller.server.stories) == (500, ())
    made = caller.post("/v2/story/idea-2-video", {"idea": "A fox. [fault:submit-500=2]", **body})
    assert (made.status, len(caller.server.stories)) == (500, 1)


def test_submit_timeout_makes_the_story_and_never_answers(start, receiver):
    caller = start(hold_seconds=0.2)
    with pytest.raises(http.client.RemoteDisconnected):
        caller.submit("A fox. [fault:submit-timeout]", webhook_url=receiver.url)
    assert receiver.next().json["batch_id"] == caller.server.stories[0].id


def test_a_held_connection_ends_when_the_emulator_stops(receiver):
    server = EmulatorServer(EmulatorOptions(story_seconds=0, short_side=90)).start()
    target = urlsplit(server.url)
    connection = http.client.HTTPConnection(target.hostname, target.port, timeout=20)
    idea = {"idea": "A fox. [fault:submit-timeout]", "scene_count": 1, "scene_duration": 1}
    body = json.dumps({**idea, "webhook_url": receiver.url}).encode()
    connection.request(
        "POST", "/v2/story/idea-2-video", body, {"X-Api-Key": server.key, "Content-Type": "application/json"}
    )
    receiver.next()
    threading.Thread(target=server.stop).start()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        connection.getresponse()
    connection.close()


def test_faults_by_chance_change_at_run_time(start):
    caller = start(faults={"api-error": 1.0})
    refused = caller.post("/v2/story/idea-2-video", {"idea": "A fox."})
    assert (refused.status, refused.json["code"]) == (500, "INTERNAL_ERROR")
    assert caller.server.stories == ()
    caller.server.set_faults({"fail:by chance": 1.0})
    assert caller.finished(caller.submit()["id"])["message"] == "by chance"
    caller.server.set_faults({})
    assert caller.finished(caller.submit()["id"])["status"] == "success"


def test_what_a_story_asks_for_wins_over_chance(start):
    caller = start(faults={"fail:by chance": 1.0})
    assert caller.finished(caller.submit("A fox. [fault:fail=asked for]")["id"])["message"] == "asked for"


def test_options_never_show_a_key():
    assert "very-secret" not in repr(replace(EmulatorOptions(), keys=("very-secret",)))
