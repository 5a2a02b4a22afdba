import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse
from relayed import World, make_world

from service.domain.notices import Audience, NoticeKind, Trouble
from service.domain.states import Origin, Outcome, StepKind, StepState, StoryState, Verdict
from service.domain.steps import Lane, Opens
from service.ledger import Ledger, lanes, meter, metrics, notices, receipts, steps, stories, troubles
from service.ledger.meter import Meter
from service.ledger.metrics import Series
from service.ledger.metrics_tables import tallies
from service.ledger.receipts import Receipt
from service.ledger.stories import NewStory, VideoRow
from service.scheduling import Scheduler
from service.web import app as web_app
from service.web import create_app
from service.web.metric_families import FAMILIES
from service.web.metrics import is_admitted

TOML = """
[destinations.shelf]
connector = "archive"
path = "published"
[[routes]]
name = "all"
destinations = ["shelf"]
"""
TOKEN = "a-token-for-prometheus"
LABELS = {
    name: family.labels + (("le",) if family.type == "histogram" else ()) for name, family in FAMILIES.items()
}

Samples = dict[tuple[str, ...], float]


@pytest.fixture
def make(tmp_path: Path, database_url: str) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(toml: str = TOML, **env: str) -> World:
        made.append(make_world(tmp_path, database_url, toml, env))
        return made[-1]

    yield make
    for world in made:
        world.relay.ledger.close()


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    return make()


def client(world: World) -> FlaskClient:
    return create_app(world.relay).test_client()


def fold(world: World) -> None:
    with world.relay.ledger.write() as tx:
        while metrics.fold(tx, 3):
            continue


def scrape(world: World) -> Callable[..., float]:
    """Folds, asks, parses; the answer reads a sample by its name and label values."""
    fold(world)
    answer = client(world).get("/metrics")
    assert answer.status_code == 200, answer.text
    samples = {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in parse(answer.text)
        for sample in family.samples
    }
    return lambda name, **labels: samples[
        (f"storyrelay_{name}", *(labels[label] for label in sorted(labels)))
    ]


def run_a_story(world: World, name: str = "story-1", outcome: Outcome = Outcome.DONE) -> int:
    """A submission that a webhook finds finished, and that is delivered after some seconds."""
    ledger, now = world.relay.ledger, world.clock
    with ledger.write() as tx:
        key = stories.add(tx, NewStory(name, Origin.SUBMITTED, StoryState.OPEN, story_id=name), now())
        assert key is not None
        receipts.add(tx, [Receipt("submission", Verdict.ACCEPTED, b"{}", "", "", now(), story=key)])
        stories.change(tx, key, now(), webhook_at=now())
        world.clock.move(1)
        stories.change(
            tx, key, now(), state=StoryState.SETTLING, revision=1, finished_at=now(), noticed_by="webhook",
            used_credits=150.0,
        )  # fmt: skip
        video = VideoRow(
            key, 1, f"{name}/r1", "ab", 5000, 1.0, 1, 1, "h264", None, has_poster=False, has_captions=False
        )
        stories.add_video(tx, video, now())
        steps.add(tx, [steps.NewStep(Lane(StepKind.DELIVER, "shelf"), key)], now())
    attempt(world, outcome, seconds=3)
    with ledger.write() as tx:
        stories.settle_if_over(tx, key, now())
    return key


def attempt(world: World, outcome: Outcome, seconds: float) -> None:
    """One try at the delivery that is due."""
    ledger, now = world.relay.ledger, world.clock
    with ledger.write() as tx:
        (step_id,) = steps.take_due(tx, Lane(StepKind.DELIVER, "shelf"), 1, now())
        step = steps.claim(tx, step_id, now(), 60)
        assert step is not None
        world.clock.move(seconds)
        steps.end(tx, step, now(), StepState.DONE if outcome == Outcome.DONE else StepState.DEAD, {})
        steps.end_attempt(tx, step, now(), outcome, "")


def test_what_happened_is_counted(world: World) -> None:
    run_a_story(world)
    run_a_story(world, "story-2", Outcome.DEAD)
    value = scrape(world)
    assert value("receipts_total", verdict="accepted") == 2
    assert value("receipts_total", verdict="malformed") == 0
    assert (value("stories", state="settled"), value("stories", state="open")) == (2, 0)
    assert value("stories_finished_total", origin="submitted", noticed_by="webhook") == 2
    assert value("webhooks_missed_total") == 0
    lane = {"kind": "deliver", "destination": "shelf"}
    assert value("steps", **lane, state="done") == 1
    assert value("steps", **lane, state="dead") == 1
    assert value("attempt_seconds_count", **lane, outcome="done") == 1
    assert value("attempt_seconds_sum", **lane, outcome="done") == pytest.approx(3, abs=0.01)
    assert value("attempt_seconds_bucket", **lane, outcome="done", le="2.5") == 0
    assert value("attempt_seconds_bucket", **lane, outcome="done", le="5.0") == 1
    assert value("published_seconds_sum", noticed_by="webhook") == pytest.approx(8, abs=0.01)
    assert value("video_bytes_total") == 10000
    assert value("credits_used_total") == 300


def test_a_story_that_only_a_poll_found_is_a_missed_webhook_and_one_that_comes_after_all_is_late(
    world: World,
) -> None:
    now = world.clock
    with world.relay.ledger.write() as tx:
        key = stories.add(tx, NewStory("s", Origin.SUBMITTED, StoryState.OPEN, story_id="s"), now())
        assert key is not None
        stories.change(tx, key, now(), finished_at=now(), noticed_by="poll")
    assert scrape(world)("webhooks_missed_total") == 1
    world.clock.move(5)
    with world.relay.ledger.write() as tx:
        stories.change(tx, key, now(), webhook_at=now())
    value = scrape(world)
    assert (value("webhooks_missed_total"), value("webhooks_late_total")) == (1, 1)


def test_counters_stay_when_what_they_counted_is_deleted(make: Callable[..., World]) -> None:
    world = make(STORYRELAY_KEEP_STORIES_DAYS="1")
    run_a_story(world)
    before = scrape(world)
    world.clock.move(2 * 86400)
    assert world.relay.pruning.run()["stories"] == 1
    after = scrape(world)
    lane = {"kind": "deliver", "destination": "shelf"}
    for name, labels in (
        ("receipts_total", {"verdict": "accepted"}),
        ("attempt_seconds_count", {**lane, "outcome": "done"}),
        ("video_bytes_total", {}),
        ("credits_used_total", {}),
    ):
        assert before(name, **labels) == after(name, **labels) > 0
    assert after("stories", state="settled") == 0, "there is none any more"
    assert after("steps", **lane, state="done") == 0


def test_what_waits_is_shown_with_the_age_of_the_oldest(world: World) -> None:
    world.track("story-1")
    world.clock.move(90)
    with world.relay.ledger.write() as tx:
        lanes.lock(tx, Lane(StepKind.FETCH))
        lanes.open_circuit(
            tx,
            Lane(StepKind.DELIVER, "shelf"),
            Opens("refused", "x"),
            world.clock(),
            first_delay=9,
            fingerprint=None,
        )
        notices.add(tx, Trouble("k", NoticeKind.LANE_PAUSED, "t", "x"), Audience(), world.clock())
    value = scrape(world)
    assert value("steps", kind="fetch", destination="", state="pending") == 1
    assert value("oldest_due_step_age_seconds", kind="fetch", destination="") == 90
    assert value("circuit", kind="deliver", destination="shelf", state="open") == 1
    assert value("circuit", kind="deliver", destination="shelf", state="closed") == 0
    assert value("notices_total", kind="lane_paused") == 1
    assert (value("queue_up"), value("queue_jobs", kind="fetch")) == (1, 0)
    world.queue.down = True
    assert scrape(world)("queue_up") == 0


def test_the_scheduler_sums_up_and_says_that_it_lives(world: World) -> None:
    run_a_story(world)
    Scheduler(world.relay).once()
    with world.relay.ledger.read() as tx:
        assert metrics.unfolded(tx) == 0
    world.clock.move(7)
    assert scrape(world)("heartbeat_age_seconds", process="scheduler") == 7


def test_names_of_destinations_come_from_the_configuration_alone(make: Callable[..., World]) -> None:
    run_a_story(make())
    world = make(toml="")
    world.clock.move(60)
    value = scrape(world)
    removed = {"kind": "deliver", "destination": "(removed)", "outcome": "done"}
    assert value("attempt_seconds_count", **removed) == 1
    assert "shelf" not in client(world).get("/metrics").text


def test_what_never_gave_up_is_shown_at_zero_so_that_an_alert_sees_the_first(world: World) -> None:
    value = scrape(world)
    for kind, name in (("fetch", ""), ("download", ""), ("deliver", "shelf"), ("notify", "shelf")):
        assert value("attempt_seconds_count", kind=kind, destination=name, outcome="dead") == 0
    for kind in ("key_refused", "credits_refused"):
        assert value("trouble_open", kind=kind) == 0


def test_refused_webhooks_are_counted_though_they_leave_no_row(world: World) -> None:
    browser = client(world)
    assert browser.post("/webhooks/story/nonsense", json={}).status_code == 404
    route = world.relay.webhook_urls.for_route("all").removeprefix("https://relay.example")
    assert browser.post(route, data=b"x" * 70000).status_code == 413
    assert browser.post(route, json={"id": "story-1"}).status_code == 202
    world.relay.meter.save(world.relay.ledger)
    value = scrape(world)
    assert [value("webhooks_refused_total", status=status) for status in ("404", "413")] == [1, 1]
    assert value("receipts_total", verdict="accepted") == 1


def test_calls_of_the_story_api_are_counted_by_their_answer(world: World) -> None:
    for status in ("200", "200", "none"):
        world.relay.meter.count("api_calls", "get", status)
    world.relay.meter.save(world.relay.ledger)
    value = scrape(world)
    assert value("story_api_calls_total", call="get", status="200") == 2
    assert value("story_api_calls_total", call="get", status="none") == 1


def test_a_ledger_that_is_down_loses_no_counts(world: World) -> None:
    world.relay.meter.count("refused", "404")
    world.relay.meter.save(Ledger("postgresql+psycopg://relay@127.0.0.1:9/none"))
    world.relay.meter.save(world.relay.ledger)
    assert scrape(world)("webhooks_refused_total", status="404") == 1


def test_a_web_process_of_its_own_writes_down_what_it_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = threading.Event()

    def save(own: Meter, ledger: Ledger) -> None:
        keep(own, ledger)
        written.set()

    keep = Meter.save
    monkeypatch.setattr(Meter, "save", save)
    monkeypatch.setattr(meter, "SAVE_SECONDS", 0)
    monkeypatch.setattr(web_app, "open_relay", lambda **_: world.relay)
    for configure in (web_app.configure_logging, web_app.configure_sentry):
        monkeypatch.setattr(web_app, configure.__name__, lambda *_: None)
    monkeypatch.setattr(web_app.tracing, "configure_tracing", lambda *_: None)
    own = web_app.create_app().test_client()
    assert own.post("/webhooks/story/nonsense", json={}).status_code == 404
    assert written.wait(10)
    assert scrape(world)("webhooks_refused_total", status="404") == 1


def test_two_who_sum_up_at_once_count_everything_once(world: World) -> None:
    with world.relay.ledger.write() as tx:
        metrics.add(tx, [(Series("refused", str(400 + number % 3)), 1.0) for number in range(600)])
    start = threading.Barrier(3)

    def run() -> None:
        start.wait()
        for _ in range(10):
            with world.relay.ledger.write() as tx:
                metrics.fold(tx, 50)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    value = scrape(world)
    assert [value("webhooks_refused_total", status=status) for status in ("400", "401", "402")] == [200] * 3


def test_a_kill_while_summing_up_changes_nothing(world: World) -> None:
    with world.relay.ledger.write() as tx:
        metrics.add(tx, [(Series("refused", "404"), 1.0)] * 5)

    def killed() -> None:
        with world.relay.ledger.write() as tx:
            assert metrics.fold(tx) == 5
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    with world.relay.ledger.read() as tx:
        assert tx.execute(sa.select(sa.func.count()).select_from(tallies)).scalar_one() == 5
    assert scrape(world)("webhooks_refused_total", status="404") == 5


def test_every_metric_is_as_its_family_says_in_both_formats(world: World) -> None:
    run_a_story(world)
    fold(world)
    browser = client(world)
    plain = list(parse(browser.get("/metrics").text))
    assert {f"storyrelay_{name}" for name in FAMILIES} == {family.name for family in plain}
    for family in plain:
        known = FAMILIES[family.name.removeprefix("storyrelay_")]
        assert (family.type, family.documentation) == (known.type, known.meaning)
        for sample in family.samples:
            assert set(sample.labels) <= set(LABELS[family.name.removeprefix("storyrelay_")])
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = browser.get("/metrics", headers=accept)
    assert answer.text.endswith("# EOF\n")
    assert {family.name for family in parse_open(answer.text)} == {family.name for family in plain}


@pytest.mark.parametrize(
    ("allow", "remote", "authorization", "admitted"),
    [
        ("", "127.0.0.1", "", True),
        ("", "::1", "", True),
        ("", "::ffff:127.0.0.1", "", True),
        ("", "10.0.0.1", "", False),
        ("", None, "", False),
        ("10.0.0.0/8", "10.1.2.3", "", True),
        ("10.0.0.0/8", "127.0.0.1", "", False),
        ("10.0.0.0/8", "192.0.2.1", f"Bearer {TOKEN}", True),
        ("10.0.0.0/8", "192.0.2.1", f"bearer {TOKEN}", True),
        ("10.0.0.0/8", "192.0.2.1", f"Bearer {TOKEN}x", False),
        ("10.0.0.0/8", "10.0.0.1", "Bearer wrong", False),
        ("10.0.0.0/8", "192.0.2.1", f"Basic {TOKEN}", False),
        ("10.0.0.0/8", "192.0.2.1", "Bearer é", False),
    ],
)
def test_only_who_is_named_may_look(
    tmp_path: Path, sqlite_url: str, allow: str, remote: str | None, authorization: str, admitted: bool
) -> None:
    env = {"METRICS_TOKEN": TOKEN} | ({"METRICS_ALLOW": allow} if allow else {})
    world = make_world(tmp_path, sqlite_url, TOML, env)
    assert is_admitted(world.relay.settings, remote, authorization) is admitted
    world.relay.ledger.close()


@pytest.mark.parametrize(
    ("proxies", "headers", "status"),
    [
        ("0", {}, 200),
        ("0", {"X-Forwarded-For": "192.0.2.1"}, 404),
        ("0", {"X-Real-IP": "192.0.2.1"}, 404),
        ("0", {"Via": "1.1 proxy"}, 404),
        ("1", {"X-Forwarded-For": "192.0.2.1"}, 404),
        ("1", {"X-Forwarded-For": "127.0.0.1"}, 200),
        ("0", {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "192.0.2.1"}, 200),
        ("0", {"Authorization": "Bearer "}, 404),
    ],
)
def test_a_proxy_does_not_open_the_door(
    tmp_path: Path, sqlite_url: str, proxies: str, headers: dict[str, str], status: int
) -> None:
    world = make_world(tmp_path, sqlite_url, TOML, {"METRICS_TOKEN": TOKEN, "TRUSTED_PROXIES": proxies})
    answer = client(world).get("/metrics", headers=headers)
    assert answer.status_code == status
    assert TOKEN not in answer.text
    world.relay.ledger.close()


def test_without_a_token_no_bearer_is_let_in(tmp_path: Path, sqlite_url: str) -> None:
    world = make_world(tmp_path, sqlite_url, TOML, {})
    assert not is_admitted(world.relay.settings, "192.0.2.1", "Bearer ")
    assert not is_admitted(world.relay.settings, "192.0.2.1", "Bearer x")
    world.relay.ledger.close()


def test_troubles_that_last_are_counted_until_they_are_over(world: World) -> None:
    kind = NoticeKind.DISK_LOW
    with world.relay.ledger.write() as tx:
        for about in ("ledger", "var"):
            troubles.begin(tx, Trouble("", kind, "full", "text"), Audience(), world.clock(), about)
    value = scrape(world)
    assert (value("trouble_open", kind="disk_low"), value("trouble_open", kind="queue_old")) == (2, 0)
    with world.relay.ledger.write() as tx:
        troubles.end(tx, kind, world.clock(), "var")
    assert scrape(world)("trouble_open", kind="disk_low") == 1
