"""What Sentry is told: final failures once, with the story, and no secret of anybody."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import sentry_sdk
import structlog
from relayed import KEY, World, make_world
from sentry_sdk.transport import Transport

from service.domain.states import StepKind
from service.observability import configure_logging, configure_sentry
from service.scheduling import Scheduler
from service.web import create_app

SECRET = "PLANTED-9f8e7d6c5b4a3210"
WEBHOOK_SECRET = "whsec_UGxhbnRlZDlmOGU3ZDZjNWI0YTMyMTBhYmNkZWY="
TOML = """
[outbound]
allow = ["127.0.0.0/8"]
[destinations.sink]
connector = "webhook"
url = "http://127.0.0.1:9/hook?key=${SINK_KEY}"
secret = "${SINK_SECRET}"
headers = { Authorization = "Bearer ${SINK_KEY}" }
[[routes]]
name = "all"
destinations = ["sink"]
"""
ENV = {
    "STORY_API_KEY": f"{SECRET}-api",
    "METRICS_TOKEN": f"{SECRET}-metrics",
    "SINK_KEY": f"{SECRET}-sink",
    "SINK_SECRET": WEBHOOK_SECRET,
    "STORY_API_URL": "http://127.0.0.1:9",
    "STORYRELAY_RETRY_SCHEDULE": "1,1",
}


class Reports(Transport):
    """Keeps what Sentry would have been sent."""

    sent: ClassVar[list[dict[str, Any]]] = []

    def capture_envelope(self, envelope: Any) -> None:
        Reports.sent += [item.payload.json for item in envelope.items]


@pytest.fixture
def reports() -> Iterator[list[dict[str, Any]]]:
    Reports.sent = []
    configure_logging("json", "debug", "tests")
    with sentry_sdk.isolation_scope():
        dsn = f"https://{SECRET}@sentry.example.com/1"
        configure_sentry(dsn, "1.2.3", "worker", "staging", transport=Reports)
        yield Reports.sent
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def world(tmp_path: Path, sqlite_url: str) -> Iterator[World]:
    world = make_world(tmp_path, sqlite_url, TOML, ENV)
    yield world
    world.relay.ledger.close()


def fails_until_dead(world: World) -> None:
    world.track("story-1")
    for _ in range(5):
        world.run()
        world.clock.move(60)


def test_a_final_failure_is_reported_once_with_its_story(world: World, reports: list[dict[str, Any]]) -> None:
    fails_until_dead(world)
    (report,) = reports
    assert report["tags"]["story"] == "story-1"
    assert report["tags"]["lane"] == StepKind.FETCH
    assert report["tags"]["process"] == "worker"
    assert (report["environment"], report["release"]) == ("staging", "1.2.3")
    assert report["logentry"]["message"].startswith("step.dead fetch: ")
    assert report["fingerprint"] == ["{{ default }}", "fetch"]


def test_a_mistake_of_ours_is_reported_with_its_story(
    world: World, reports: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(f"token={SECRET}")

    monkeypatch.setattr("service.story_api.StoryApi.get", broken)
    world.track("story-1")
    world.run()
    (report,) = reports
    assert report["exception"]["values"][-1]["type"] == "RuntimeError"
    assert report["tags"]["story"] == "story-1"
    assert SECRET not in json.dumps(report)


def test_no_secret_is_told_by_any_process(
    world: World,
    reports: list[dict[str, Any]],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure_logging("json", "debug", "tests")  # to the stream that is watched
    fails_until_dead(world)
    web = create_app(world.relay).test_client()
    route = world.relay.webhook_urls.for_route("all").removeprefix("https://relay.example")
    token = route.rpartition("/")[2]
    with monkeypatch.context() as patched:
        patched.setattr("service.intake.Intake.receive", _mistake(token))
        assert (
            web.post(route, json={"id": "x"}, headers={"Authorization": f"Bearer {SECRET}"}).status_code
            == 500
        )
    web.post(f"{route}x", json={})
    web.get("/metrics", headers={"Authorization": f"Bearer {SECRET}-wrong"})
    with monkeypatch.context() as patched:
        patched.setattr("service.scheduling.Scheduler._watch_webhooks", _mistake(token))
        Scheduler(world.relay).once()
    sentry_sdk.capture_exception(RuntimeError(f"postgresql://relay:{SECRET}@db/x and {route}"))
    said = capfd.readouterr()
    written = said.out + said.err + json.dumps(reports)
    assert len(reports) >= 3
    assert "step.dead" in written
    assert "scheduler.mistake" in written
    for secret in (SECRET, WEBHOOK_SECRET, KEY, token):
        assert secret not in written


def _mistake(token: str) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise RuntimeError(f"POST /webhooks/story/{token} api_key={SECRET} Authorization: Bearer {SECRET}")

    return fail
