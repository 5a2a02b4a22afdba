"""What the emulator shows of itself."""

import threading
import urllib.error
import urllib.request

import pytest

from service.emulator import EmulatorOptions, EmulatorServer, create_app


def test_stories_are_shown_with_their_webhooks(shared, receiver):
    story_id = shared.submit(webhook_url=receiver.url, title="Shown")["id"]
    shared.finished(story_id)
    shared.get(story_id)
    shared.until(lambda: shared.server.story(story_id).webhooks)
    shown = shared.send("GET", shared.server.url + "/_emulator/stories").json
    story = next(s for s in shown if s["id"] == story_id)
    assert (story["title"], story["status"], story["gets"], story["downloads"]) == ("Shown", "success", 2, 0)
    assert story["webhooks"][0]["answer"] == 202
    assert shared.key not in str(shown)


def test_faults_are_set_and_shown_over_http(start):
    caller = start()
    answer = caller.post("/_emulator/faults", {"webhook-late:7": 0.25})
    assert answer.status == 200
    shown = caller.send("GET", caller.server.url + "/_emulator/faults").json
    assert shown["faults"] == {"webhook-late:7": 0.25}
    assert "webhook-never" in shown["known"]
    assert caller.post("/_emulator/faults", {"nothing": 1}).status == 400
    assert caller.post("/_emulator/faults", {"webhook-never": "often"}).status == 422
    assert caller.post("/_emulator/faults", []).status == 422
    assert caller.send("GET", caller.server.url + "/_emulator/faults").json["faults"] == {
        "webhook-late:7": 0.25
    }


def test_calls_and_log_lines_tell_every_request_and_no_secret(start):
    lines = []
    caller = start(log=lines.append)
    url = caller.video()
    caller.send("GET", url)
    last = caller.server.calls[-1]
    assert (last.method, last.status) == ("GET", 200)
    assert last.path == url.split("?")[0].removeprefix(caller.server.url)
    assert len(lines) == len(caller.server.calls)
    assert lines[0].startswith("POST /v2/story/idea-2-video → 200")
    assert not [line for line in lines if caller.key in line or "signature" in line]


def test_the_app_runs_under_another_server_too():
    app = create_app(EmulatorOptions(short_side=90, story_seconds=60))
    client = app.test_client()
    headers = {"X-Api-Key": "emulator-key"}
    answer = client.post(
        "/v2/story/idea-2-video", json={"idea": "A fox. [fault:submit-timeout]"}, headers=headers
    )
    assert (answer.status_code, answer.json["code"]) == (504, "TIMEOUT")
    app.extensions["emulation"].close()


def test_a_server_leaves_nothing_behind():
    before = set(threading.enumerate())
    with EmulatorServer(EmulatorOptions(story_seconds=0, short_side=90)) as server:
        assert server.url.startswith("http://127.0.0.1:")
    server.stop()
    EmulatorServer().stop()
    assert {t for t in threading.enumerate() if t not in before and t.name.startswith("emulator")} == set()


def test_many_customers_at_once(start):
    caller = start()
    ids, failures = [], []

    def one(number):
        try:
            ids.append(caller.submit(f"Story number {number}.")["id"])
        except AssertionError as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(set(ids)) == 20
    assert all(caller.finished(story_id)["status"] == "success" for story_id in ids)


def test_a_web_page_can_neither_look_nor_order(start):
    caller = start()
    url = caller.server.url + "/_emulator/"
    port = caller.server.url.rpartition(":")[2]
    rebound = urllib.request.Request(url + "stories", headers={"Host": f"evil.example:{port}"})
    form = urllib.request.Request(
        url + "faults", data=b'{"webhook-never": 1}', headers={"Content-Type": "text/plain"}
    )
    for request in (rebound, form):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        assert refused.value.code == 400
    assert caller.send("GET", url + "faults").json["faults"] == {}
