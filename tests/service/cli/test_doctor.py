import json
import os
import stat
import time
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from rq import Worker
from rq.serializers import JSONSerializer

from service.cli.trouble_checks import ADVICE
from service.domain.notices import LASTING, Audience, NoticeKind, Trouble
from service.domain.states import StepKind, StepState, StoryState
from service.domain.steps import Lane, Opens
from service.ledger import lanes, reports, troubles
from service.scheduler_heartbeat import HEARTBEAT


def examined(home, **env):
    """Part → (status, text, advice), and the exit code."""

    result = home.run("doctor", "--json", **env)
    told = json.loads(result.stdout)
    assert told["ok"] == (result.exit_code == 0)
    assert told["ok"] == all(check["status"] != "fail" for check in told["checks"])
    return {
        check["part"]: (check["status"], check["text"], check["advice"]) for check in told["checks"]
    }, result


@pytest.fixture
def running(online, valkey):
    """A home in which workers and scheduler say that they live."""
    connection = Redis.from_url(valkey)
    workers = [Worker([kind.value], connection=connection, serializer=JSONSerializer) for kind in StepKind]
    for worker in workers:
        worker.register_birth()
    with online.ledger.write() as tx:
        reports.beat(tx, HEARTBEAT, datetime.now(UTC))
    online.env["REDIS_URL"] = valkey
    yield online
    connection.close()


def test_all_is_well(running):
    parts, result = examined(running)
    assert {part: status for part, (status, _, _) in parts.items()} == {
        "settings": "ok", "configuration": "ok", "secret keys": "ok", "public url": "ok", "ledger": "ok", "queue": "ok",
        "workers": "ok", "scheduler": "ok", "video store": "ok", "story api": "ok",
        "notices": "ok", "destination attic": "ok", "destination shelf": "ok",
    }  # fmt: skip
    assert result.exit_code == 0
    printed = running.done("doctor")
    assert "nothing holds stories up" in printed.stderr
    assert "storyrelay.toml: 2 destinations, 2 routes" in printed.stdout


def test_a_bare_home_is_told_all_that_is_missing_at_once(bare):
    parts, result = examined(bare)
    assert result.exit_code == 1
    assert {part: status for part, (status, _, _) in parts.items() if status != "ok"} == {
        "configuration": "warn", "secret keys": "fail", "public url": "warn", "ledger": "fail", "queue": "warn",
        "story api": "fail", "destinations": "warn",
    }  # fmt: skip
    assert "storyrelay migrate" in parts["ledger"][1]
    assert all(advice for status, _, advice in parts.values() if status != "ok")
    assert not (bare.path / "var" / "ledger.sqlite3").exists()


def test_wrong_settings_are_a_finding(bare):
    parts, result = examined(bare, PORT="many", STORYRELAY_LOGLEVEL="x")
    assert result.exit_code == 1
    assert parts.keys() == {"settings"}
    assert "PORT" in parts["settings"][1]
    assert "STORYRELAY_LOG_LEVEL" in parts["settings"][1]


def test_a_wrong_configuration_is_a_finding_beside_the_others(online):
    (online.path / "storyrelay.toml").write_text("[destination.x]\n")
    parts, _ = examined(online)
    assert parts["configuration"][0] == "fail"
    assert "'destinations'" in parts["configuration"][1]
    assert parts["ledger"][0] == parts["story api"][0] == "ok"
    status, text, advice = parts["destinations"]
    assert status == "warn"
    assert "storyrelay.toml is broken" in text
    assert "storyrelay.toml" in advice
    assert "none" not in text


def test_a_wrong_key_of_the_story_api(online):
    parts, _ = examined(online, STORY_API_KEY="a-wrong-key-of-mine")
    assert parts["story api"][0] == "fail"
    assert "a-wrong-key" not in str(parts)


def test_a_story_api_that_is_away(home):
    assert examined(home)[0]["story api"][0] == "fail"


def test_a_destination_that_refuses_is_named_and_hides_no_other(online):
    with (online.path / "storyrelay.toml").open("a") as file:
        file.write(
            '[destinations.mail]\nconnector = "email"\nhost = "127.0.0.1"\nport = 1\nsecurity = "none"\n'
            'from = "a@example.com"\nto = ["b@example.com"]\n'
        )
    parts, _ = examined(online)
    assert parts["destination mail"][0] == "fail"
    assert "storyrelay send-test mail" in parts["destination mail"][2]
    assert parts["destination shelf"][0] == "ok"


def test_no_route_is_told(online):
    (online.path / "storyrelay.toml").write_text('[destinations.shelf]\nconnector = "archive"\npath = "p"\n')
    assert examined(online)[0]["routes"][0] == "warn"


def test_a_public_url_that_the_story_api_can_t_reach(home):
    parts, _ = examined(home, STORY_API_URL="https://127.0.0.1.invalid")
    assert parts["public url"][0] == "warn"
    assert "PUBLIC_URL" in parts["public url"][2]
    assert (
        examined(home, STORY_API_URL="https://x.invalid", PUBLIC_URL="https://me.example")[0]["public url"][0]
        == "ok"
    )


def test_a_queue_that_is_set_and_away_fails_without_its_password(home):
    parts, _ = examined(home, REDIS_URL="redis://:hunter2hunter2@127.0.0.1:1/0")
    assert parts["queue"][0] == "fail"
    assert "hunter2" not in str(parts)


def test_an_up_that_was_killed_is_told_as_not_running(home):
    (home.path / "var" / "redis_url").write_text(f"unix://{home.path}/var/gone.sock\n")
    parts, _ = examined(home)
    assert parts["queue"][0] == "warn"
    assert "storyrelay up" in parts["queue"][2]


def test_queues_that_nobody_works_on(online, valkey):
    parts, _ = examined(online, REDIS_URL=valkey)
    assert (parts["workers"][0], parts["scheduler"][0]) == ("fail", "fail")
    assert "fetch, download, deliver, notify" in parts["workers"][1]


def test_workers_that_were_killed_do_not_count(running, redis):
    for worker in Worker.all(connection=redis):
        if worker.queue_names() == ["fetch"]:
            redis.delete(worker.key)  # what the queue does by itself when no heartbeat comes
    parts, _ = examined(running)
    assert parts["workers"][:2] == ("fail", "nobody works on fetch")


def test_a_configuration_that_was_changed_since_the_processes_started(running):
    config = running.path / "storyrelay.toml"
    os.utime(config, (time.time() + 60,) * 2)
    status, text, advice = examined(running)[0]["processes"]
    assert status == "warn"
    assert f"{config} was changed" in text
    assert "start them again" in advice
    os.utime(config, (time.time() - 60,) * 2)
    assert "processes" not in examined(running)[0]


def test_one_destination_is_one(online):
    shelf = '[destinations.shelf]\nconnector = "archive"\npath = "p"\n'
    text = shelf + '[[routes]]\nname = "all"\ndestinations = ["shelf"]\n'
    (online.path / "storyrelay.toml").write_text(text)
    assert examined(online)[0]["configuration"][1].endswith(": 1 destination, 1 route")


def test_a_scheduler_that_fell_silent(online, now):
    with online.ledger.write() as tx:
        reports.beat(tx, HEARTBEAT, now.replace(year=2020))
    status, text, _ = examined(online)[0]["scheduler"]
    assert status == "warn"
    assert "last alive" in text


def test_paused_and_switched_off_lanes_say_why(home, now):
    with home.ledger.write() as tx:
        for lane, reason in (
            (Lane(StepKind.DELIVER, "shelf"), "no \x1b[31mroom"),
            (Lane(StepKind.FETCH), "no credit"),
        ):
            lanes.open_circuit(tx, lane, Opens("refused", reason), now, first_delay=900, fingerprint=None)
        lanes.switch_off(tx, Lane(StepKind.DELIVER, "shelf"))
    parts, result = examined(home)
    assert parts["deliver/shelf"][0] == "fail"
    assert "storyrelay send-test shelf" in parts["deliver/shelf"][2]
    assert (parts["fetch"][0], parts["fetch"][1]) == ("warn", "paused: no credit")
    assert "\x1b" not in result.output + home.run("doctor").output


def test_dead_letters_are_counted_and_named(home, book):
    book.settled("story-1", {"shelf": StepState.DEAD, "attic": StepState.DEAD})
    status, text, advice = examined(home)[0]["dead letters"]
    assert status == "warn"
    assert text.startswith("2 deliveries were given up: story-1 to ")
    assert ("story-1 to shelf" in text, "story-1 to attic" in text) == (True, True)
    assert "storyrelay show story-1" in advice
    assert "storyrelay replay story-1" in advice


def test_dead_letters_are_named_the_newest_first_and_not_without_end(home, book):
    for number in range(8):
        book.settled(f"story-{number}", {"shelf": StepState.DEAD})
    _, text, advice = examined(home)[0]["dead letters"]
    assert "story-7 to shelf, story-6 to shelf" in text
    assert text.endswith("and 3 more")
    assert "story-0" not in text
    assert "storyrelay show story-7" in advice


def test_one_dead_letter_is_one(home, book):
    key = book.story("story-1", StoryState.GIVEN_UP)
    book.step(key, StepKind.DOWNLOAD, state=StepState.DEAD)
    assert examined(home)[0]["dead letters"][1] == "1 download was given up: story-1"


def test_a_dead_notice_is_a_matter_of_its_destination(home, book):
    key = book.story("story-1", StoryState.FAILED)
    book.step(key, StepKind.NOTIFY, "shelf", StepState.DEAD)
    _, text, advice = examined(home)[0]["dead letters"]
    assert text == "1 notice was given up: story-1 to shelf"
    assert "storyrelay send-test shelf" in advice


def test_keys_that_others_can_read(bare):
    path = bare.path / "var" / "secret_keys"
    path.parent.mkdir(exist_ok=True)
    path.write_text("k" * 32)
    path.chmod(0o644)
    status, _, advice = examined(bare)[0]["secret keys"]
    assert (status, advice) == ("warn", f"chmod 600 {path}")
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert examined(bare)[0]["secret keys"][0] == "ok"


def test_a_store_without_room(home):
    status, text, _ = examined(home, STORYRELAY_MAX_VIDEO_BYTES=str(2**60))[0]["video store"]
    assert status == "warn"
    assert "GiB left" in text


@pytest.mark.parametrize("store", ["s3://bucket?colour=red", "/proc/nothing/here"])
def test_a_store_that_does_not_work(home, store):
    assert examined(home, VIDEO_STORE=store)[0]["video store"][0] == "fail"


def test_a_ledger_of_a_newer_program(home):
    with home.ledger.write() as tx:
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    status, text, _ = examined(home)[0]["ledger"]
    assert status == "fail"
    assert "newer" in text
    result = home.run("migrate")
    assert result.exit_code == 1
    assert "newest Storyrelay" in result.stderr


def test_a_broken_template_is_a_finding_of_its_destination(online):
    with (online.path / "storyrelay.toml").open("a") as file:
        file.write(
            '[destinations.desk]\nconnector = "email"\nhost = "127.0.0.1"\nfrom = "a@example.com"\n'
            'to = ["b@example.com"]\nsubject = "{{ story.titel }}"\n'
        )
    parts, result = examined(online)
    assert result.exit_code == 1
    assert parts["destination desk"][0] == "fail"
    assert "line 1 can't be rendered" in parts["destination desk"][1]
    assert parts["destination shelf"][0] == "ok"


def test_a_destination_that_nothing_leads_to_is_told(online):
    place = '[destinations.{}]\nconnector = "archive"\npath = "{}"\n{}\n'
    tables = [place.format(name, name, "") for name in ("routed", "spare", "told", "lost")]
    tables += ['[destinations.main]\nconnector = "archive"\npath = "main"\nfallback = "spare"\n']
    routes = (
        '[[routes]]\nname = "all"\ndestinations = ["routed", "main"]\n[notices]\ndestinations = ["told"]\n'
    )
    (online.path / "storyrelay.toml").write_text("".join(tables) + routes)
    checks = online.run("doctor", "--json").stdout
    found = [check for check in json.loads(checks)["checks"] if "no route leads" in check["text"]]
    assert [(check["part"], check["status"]) for check in found] == [("destination lost", "warn")]
    assert "put 'lost' into the destinations of a route" in found[0]["advice"]


def test_what_lasts_is_told_with_what_to_do_but_not_lanes_which_are_told_by_themselves(running):
    now = datetime.now(UTC)
    with running.ledger.write() as tx:
        for kind, title in (
            (NoticeKind.CREDITS_LOW, "The month's credits run low"),
            (NoticeKind.LANE_PAUSED, "Paused"),
        ):
            troubles.begin(
                tx, Trouble("", kind, title, "text"), Audience(), now, since=now - timedelta(hours=3)
            )
    parts, result = examined(running)
    assert result.exit_code == 0
    assert {part: found for part, found in parts.items() if found[0] != "ok"} == {
        "budget of credits": (
            "warn",
            "The month's credits run low, for 3 hours",
            "submit less, or set STORYRELAY_CREDITS_BUDGET",
        )
    }


def test_each_kind_of_trouble_has_its_advice():
    assert {kind for kind in LASTING if not kind.startswith("lane")} == set(ADVICE)
