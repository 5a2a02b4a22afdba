"""One webhook is followed to its deliveries: by its request's id in every log, and by one trace."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from relayed import World
from structlog.contextvars import get_contextvars, merge_contextvars
from structlog.testing import capture_logs

from service import tracing
from service.emulator import EmulatorServer
from service.ledger import receipts
from service.web import create_app

Ask = Callable[..., str]
Await = Callable[[str], None]


@pytest.fixture
def spans() -> Iterator[Callable[[], dict[str, ReadableSpan]]]:
    exporter = InMemorySpanExporter()
    tracing.configure_tracing("tests", "1", exporter=exporter)

    def read() -> dict[str, ReadableSpan]:
        tracing.flush()
        return {span.name: span for span in exporter.get_finished_spans()}

    yield read
    tracing.stop_tracing()


@pytest.fixture(autouse=True)
def nothing_bound() -> Iterator[None]:
    _forget_requests()  # the last one of other tests stays with the thread, as in the web's
    yield
    _forget_requests()


def _forget_requests() -> None:
    structlog.contextvars.clear_contextvars()
    tracing.name_request("")


def send(world: World, story_id: str, **headers: str) -> Any:
    path = world.relay.webhook_urls.for_route("all").removeprefix("https://relay.example")
    answer = create_app(world.relay).test_client().post(path, json={"id": story_id}, headers=headers)
    assert answer.status_code == 202
    assert world.queue.arrived.wait(30), "the fetch was dispatched"
    _forget_requests()  # the work is another process's
    return answer


def logged(world: World) -> list[Any]:
    with capture_logs(processors=[merge_contextvars]) as said:
        world.run()
    return list(said)


def test_a_webhook_is_found_in_the_log_of_all_that_follows(world: World, ask: Ask, finished: Await) -> None:
    story_id = ask()
    finished(story_id)
    answer = send(world, story_id, **{"X-Request-Id": "from-the-proxy-1"})
    assert answer.headers["X-Request-Id"] == "from-the-proxy-1"
    said = logged(world)
    done = {line["lane"]: line for line in said if line["event"] == "step.done"}
    assert set(done) == {"fetch", "download", "deliver/shelf"}, said
    assert {line["request_id"] for line in done.values()} == {"from-the-proxy-1"}
    assert {line["story"] for line in done.values()} == {story_id}
    assert all(line["step"] for line in done.values())
    with world.relay.ledger.read() as tx:
        (receipt,) = receipts.of_story(tx, world.story(story_id).id)
    assert receipt.request_id == "from-the-proxy-1"
    assert "request_id" not in get_contextvars(), "the next step follows from another"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\tb", "ä", "<script>"])
def test_an_id_that_is_not_sane_is_replaced(given: str) -> None:
    made = tracing.request_id(given)
    assert made != given
    assert len(made) == 16
    assert tracing.request_id(made) == made


def test_a_poll_follows_from_no_request(world: World, ask: Ask, finished: Await) -> None:
    story_id = ask()
    finished(story_id)
    world.track(story_id)
    assert not [line for line in logged(world) if "request_id" in line]


def test_one_webhook_is_one_trace(
    world: World,
    ask: Ask,
    finished: Await,
    spans: Callable[[], dict[str, ReadableSpan]],
    emulator: EmulatorServer,
) -> None:
    story_id = ask()
    finished(story_id)
    send(world, story_id)
    world.run()
    found = spans()
    assert set(found) == {"webhook", "intake", "fetch", "GET", "download", "GET (download)", "deliver"}
    assert len({span.context.trace_id for span in found.values() if span.context}) == 1
    parents = {
        name: next(
            (
                other
                for other, one in found.items()
                if span.parent and one.context.span_id == span.parent.span_id
            ),
            None,
        )
        for name, span in found.items()
    }
    assert parents == {
        "webhook": None,
        "intake": "webhook",
        "fetch": "webhook",
        "GET": "fetch",
        "download": "fetch",
        "GET (download)": "download",
        "deliver": "download",
    }
    for name in ("fetch", "download", "deliver"):
        assert (found[name].attributes or {})["storyrelay.story"] == story_id
    assert (found["deliver"].attributes or {})["storyrelay.destination"] == "shelf"
    assert (found["GET"].attributes or {})["http.response.status_code"] == 200
    told = json.dumps([json.loads(span.to_json()) for span in found.values()])
    assert emulator.key not in told
    assert "/media/" not in told
    assert "/webhooks/" not in told


def test_a_span_tells_an_errors_class_and_not_its_words(
    spans: Callable[[], dict[str, ReadableSpan]],
) -> None:
    with pytest.raises(ValueError, match="secret"), tracing.span("work"):
        raise ValueError("a secret")
    found = spans()["work"]
    assert found.status.description == "ValueError"
    assert "secret" not in found.to_json()


def test_off_by_default_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert not tracing.configure_tracing("tests", "1")
    with tracing.span("work") as span:
        assert not span.is_recording()
        assert tracing.current() is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert not tracing.configure_tracing("tests", "1")
