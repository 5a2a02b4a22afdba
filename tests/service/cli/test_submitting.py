import json
import os
import signal
import threading

import pytest
from scripted_api import scripted_api

from service.domain.states import StoryState
from service.ledger import story_list
from service.ledger.story_list import Sought
from service.story_api import RATES


def rows(home):
    with home.ledger.read() as tx:
        return story_list.newest(tx, Sought(), 100)


def test_a_submitted_story_is_in_the_ledger_and_at_the_story_api(online, emulator):
    printed = online.json("submit", "idea", "A day at sea", "--scene-count", "1", "--scene-duration", "1")
    [row] = rows(online)
    assert printed == {
        "story_id": row.story_id, "submission_id": row.submission_id, "state": "open",
        "estimated_credits": 10, "used_credits": row.used_credits,
    }  # fmt: skip
    assert row.state == StoryState.OPEN
    assert row.request == {"idea": "A day at sea", "scene_count": 1, "scene_duration": 1}
    assert emulator.story(row.story_id).webhooks is not None


def test_people_are_told_the_id_and_what_next(online):
    result = online.done("submit", "idea", "x", "--scene-count", "1", "--scene-duration", "1")
    [row] = rows(online)
    assert row.story_id in result.stdout
    assert "10 × 1 scenes × 1 s = 10 credits" in result.stdout
    assert f"storyrelay show {row.story_id}" in result.stderr


def test_route_and_labels_are_kept(online):
    online.done("submit", "idea", "x", "--route", "both", "--label", "team=brand", "--label", "note=a b=c")
    [row] = rows(online)
    assert (row.route, row.labels) == ("both", {"team": "brand", "note": "a b=c"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--route", "bth"), "did you mean 'both'"),
        (("--route", ""), "no route ''"),
        (("--label", "team"), "NAME=VALUE"),
        (("--label", "=brand"), "NAME=VALUE"),
        (("--label", "team="), "NAME=VALUE"),
        (("--label", "te am=x"), "NAME=VALUE"),
        (("--label", "team=a\nb"), "NAME=VALUE"),
        (("--label", "team=" + "x" * 201), "NAME=VALUE"),
        (("--label", "a=1", "--label", "a=2"), "given twice"),
    ],
)
def test_wrong_routes_and_labels_send_nothing(online, words, said):
    result = online.run("submit", "idea", "x", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert rows(online) == []


def test_a_dry_run_sends_and_writes_nothing(home):
    result = home.done("submit", "idea", "x", "--dry-run", "--route", "all")
    assert "150 credits, about US$1.50" in result.stdout
    assert "nothing was sent" in result.stderr
    assert rows(home) == []


def test_a_dry_run_shows_the_request_as_people_write_it(bare):
    words = ("images", "https://x.example/1", "https://x.example/2", "--transition", "--no-narration")
    printed = bare.done("submit", *words, "--dry-run").stdout
    rows = dict(line.split(maxsplit=1) for line in printed.splitlines())
    assert rows["image_urls"] == "https://x.example/1, https://x.example/2"
    assert rows["is_transition"] == "yes"
    assert json.loads(rows["audio_option"]) == {"has_narration": False}


def test_a_dry_run_does_not_show_what_is_not_set(bare):
    printed = bare.done(
        "submit", "--file", "-", "--dry-run", stdin='{"kind": "idea", "idea": "x", "elements": null}'
    )
    assert "elements" not in printed.stdout
    assert "None" not in printed.stdout


def test_a_dry_run_needs_neither_ledger_nor_keys(bare):
    printed = bare.json("submit", "idea", "x", "--dry-run")
    assert printed["dry_run"] is True
    assert printed["estimate"]["credits"] == 150


def test_a_dry_run_checks_the_route(home):
    result = home.run("submit", "idea", "x", "--dry-run", "--route", "nowhere")
    assert result.exit_code == 2
    assert "nowhere" in result.stderr


def test_without_a_key_of_the_story_api_nothing_is_written(home):
    result = home.run("submit", "idea", "x", STORY_API_KEY="")
    assert result.exit_code == 2
    assert "STORY_API_KEY" in result.stderr
    assert rows(home) == []


def test_without_keys_of_ours_nothing_is_sent(online, emulator):
    calls = len(emulator.calls)
    result = online.run("submit", "idea", "x", SECRET_KEYS="")
    assert result.exit_code == 2
    assert "SECRET_KEYS" in result.stderr
    assert len(emulator.calls) == calls


def test_a_wrong_key_is_told_and_the_story_is_cancelled(online):
    result = online.run("submit", "idea", "x", STORY_API_KEY="a-wrong-key-of-mine")
    assert result.exit_code == 1
    assert "STORY_API_KEY" in result.stderr
    assert "a-wrong-key-of-mine" not in result.output
    assert [row.state for row in rows(online)] == [StoryState.CANCELLED]


def test_a_story_api_that_is_away_is_told(home):
    result = home.run("submit", "idea", "x")
    assert result.exit_code == 1
    assert "127.0.0.1:1" in result.stderr
    assert result.stdout == ""


def test_a_call_without_an_answer_is_unconfirmed_and_not_sent_twice(online, emulator):
    first = online.run("submit", "idea", "x [fault:submit-500]", "--json")
    assert first.exit_code == 1
    printed = json.loads(first.stdout)
    assert (printed["story_id"], printed["state"]) == (None, "unconfirmed")
    assert "--again" in first.stderr
    calls = len(emulator.calls)
    second = online.run("submit", "idea", "x [fault:submit-500]")
    assert second.exit_code == 1
    assert printed["submission_id"] in second.stderr
    assert "--again" in second.stderr
    assert len(emulator.calls) == calls
    assert online.run("submit", "idea", "x [fault:submit-500]", "--again").exit_code == 1
    assert len(emulator.calls) == calls + 1


def test_ctrl_c_says_what_is_known_and_what_next(home):
    over = threading.Event()

    def answer(_body):
        os.kill(os.getpid(), signal.SIGINT)
        over.wait(30)

    before = signal.getsignal(signal.SIGINT)
    with scripted_api() as api:
        api.answer = answer
        result = home.run("submit", "idea", "x", STORY_API_URL=api.url)
        over.set()
    [row] = rows(home)
    assert (result.exit_code, row.state) == (1, StoryState.UNCONFIRMED)
    assert "in the ledger as `unconfirmed`" in result.stderr
    assert f"storyrelay show {row.submission_id}" in result.stderr
    assert "not sent again, unless you add --again" in result.stderr
    assert "Aborted" not in result.output
    assert signal.getsignal(signal.SIGINT) is before


def test_the_webhook_address_is_never_printed(online):
    result = online.done("submit", "idea", "x", "--json", STORYRELAY_LOG_LEVEL="debug")
    assert "/webhooks/story/" not in result.output


@pytest.mark.parametrize(
    ("words", "credits"),
    [
        (("idea", "x"), 150),
        (("idea", "x", "--video-tool", "AutoT1"), 75),
        (("idea", "x", "--video-tool", "Vidu", "--native-audio"), 300),
        (("images", "https://x.example/1", "https://x.example/2", "--scene-duration", "10"), 200),
    ],
)
def test_estimate(bare, words, credits):  # noqa: A002  the price's name
    printed = bare.json("estimate", *words)
    assert printed["credits"] == credits
    assert printed["dollars"] == f"{credits / 100:.2f}"
    assert str(credits) in bare.done("estimate", *words).stdout


def test_estimate_shows_every_rate(bare):
    printed = bare.done("estimate", "idea", "x").stdout
    for rate in RATES:
        assert all(tool in printed for tool in rate.video_tools)
        assert f"{rate.credits_per_second} credits a second" in printed
