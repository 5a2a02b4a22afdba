import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.connectors.webhook import WebhookConnector, WebhookOptions
from handlers.message_text import clean
from service.connector_contract import ConnectorContract, Faults, FaultyHttp, Place, Seen, new_story
from service.connectors import ConnectorTools, connector_class
from service.domain.delivery import DeliveryFailed, Notice
from service.stand_ins.webhook_sink import SinkFault, WebhookSink

SECRET = "whsec_" + "QUFB" * 8


@pytest.fixture
def sink() -> Iterator[WebhookSink]:
    with WebhookSink(SECRET) as open_sink:
        yield open_sink


def connector(tools: ConnectorTools, url: str, **options: Any) -> WebhookConnector:
    return WebhookConnector(WebhookOptions(url=url, **{"secret": SECRET, "timeout": 5, **options}), tools)


def test_is_found_by_its_name() -> None:
    assert connector_class("webhook") is WebhookConnector


def test_publishes_a_signed_event(shelf: Any, tools: ConnectorTools, sink: WebhookSink, hostile: str) -> None:
    published = connector(tools, sink.url, headers={"Authorization": "Bearer t"}).publish(
        shelf.publication(title=hostile)
    )
    (delivery,) = sink.deliveries
    assert delivery.verified
    assert (delivery.id, delivery.type, delivery.story_id) == ("step-1", "story.published", "story-1")
    assert delivery.headers["authorization"] == "Bearer t"
    assert delivery.headers["content-type"] == "application/json"
    data = delivery.body["data"]
    assert data["story"]["title"] == clean(hostile)
    assert data["story"]["title"].startswith("\"Quotes\" 'n' <script>alert(1)</script> & <!channel>")
    assert not {"\0", "\ud800"} & set(data["story"]["title"]), "PostgreSQL's jsonb takes neither"
    assert (data["story"]["revision"], data["story"]["used_credits"]) == (1, 150.0)
    assert data["video"] == {
        "url": "https://relay.test/media/v?a=1&b=2",
        "sha256": shelf.sha256,
        "bytes": shelf.video.stat().st_size,
        "seconds": 15.0,
        "width": 1280,
        "height": 720,
    }
    assert (data["poster_url"], data["captions_url"]) == (
        "https://relay.test/media/p",
        "https://relay.test/media/c",
    )
    assert (data["route"], data["destination"]) == ("all", "team")
    assert data["elsewhere"] == {}
    assert "204" in published.remark


def test_says_where_the_story_can_be_seen_already(
    shelf: Any, tools: ConnectorTools, sink: WebhookSink
) -> None:
    publication = replace(
        shelf.publication(), elsewhere={"tube": "https://tube.test/v/1", "shelf": "file:///srv/v.mp4"}
    )
    connector(tools, sink.url).publish(publication)
    assert sink.deliveries[0].body["data"]["elsewhere"] == {"tube": "https://tube.test/v/1"}


def test_a_withdrawal_is_a_signed_event_of_its_own(
    tmp_path: Path, tools: ConnectorTools, sink: WebhookSink
) -> None:
    story = new_story(tmp_path)
    connector(tools, sink.url).withdraw(story.withdrawal())
    (delivery,) = sink.deliveries
    assert delivery.verified
    assert (delivery.type, delivery.id) == ("story.withdrawn", f"{story.key}-withdrawn")
    assert delivery.body["timestamp"] == "2026-03-05T05:06:07+00:00"
    assert delivery.body["data"] == {
        "story": {"id": story.facts().id, "title": "A letter", "revision": 1},
        "destination": "place",
    }


def test_the_preview_is_the_body_that_is_sent(shelf: Any, tools: ConnectorTools, sink: WebhookSink) -> None:
    place = connector(tools, sink.url)
    (part,) = place.preview(shelf.publication())
    place.publish(shelf.publication())
    assert part.name == "body.json"
    assert json.loads(part.text) == sink.deliveries[0].body


@pytest.mark.parametrize(
    "fault", [SinkFault(drop=True, after_effect=True), SinkFault(delay=30, after_effect=True)]
)
def test_a_repeat_after_a_lost_answer_has_the_same_id(
    shelf: Any, tools: ConnectorTools, sink: WebhookSink, fault: SinkFault
) -> None:
    place = connector(tools, sink.url, timeout=0.5)
    sink.fail_next(fault)
    with pytest.raises(DeliveryFailed) as failed:
        place.publish(shelf.publication())
    assert (failed.value.permanent, failed.value.refused) == (False, False)
    place.publish(shelf.publication())
    assert [d.id for d in sink.deliveries] == ["step-1", "step-1"]
    assert sink.deliveries[0].body == sink.deliveries[1].body


def test_a_wanted_repeat_and_a_revision_are_messages_of_their_own(
    shelf: Any, tools: ConnectorTools, sink: WebhookSink
) -> None:
    place = connector(tools, sink.url)
    place.publish(shelf.publication())
    place.publish(shelf.publication(repeat=1))
    place.publish(shelf.publication(message="step-2", revision=2))
    assert [(d.id, d.body["data"]["story"]["revision"]) for d in sink.deliveries] == [
        ("step-1", 1),
        ("step-1-1", 1),
        ("step-2", 2),
    ]


@pytest.mark.parametrize(
    ("status", "permanent", "refused", "says"),
    [
        (400, True, False, "400"),
        (401, False, True, "401"),
        (403, False, True, "403"),
        (404, True, False, "404"),
        (408, False, False, "408"),
        (410, True, False, "wants no more"),
        (422, True, False, "422"),
        (425, False, False, "425"),
        (301, False, False, "redirects are not followed"),
        (500, False, False, "500"),
        (503, False, False, "503"),
    ],
)
def test_what_an_answer_means(
    shelf: Any,
    tools: ConnectorTools,
    sink: WebhookSink,
    status: int,
    permanent: bool,
    refused: bool,
    says: str,
) -> None:
    sink.fail_next(SinkFault(status=status, headers=(("Location", "http://127.0.0.1:9/?token=t0ps3cret"),)))
    with pytest.raises(DeliveryFailed, match=says) as failed:
        connector(tools, sink.url).publish(shelf.publication())
    assert (failed.value.permanent, failed.value.refused) == (permanent, refused)
    assert "t0ps3cret" not in str(failed.value)
    assert sink.requests == 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("1.5", 1.5), ("soon", None)])
def test_honours_retry_after(
    shelf: Any, tools: ConnectorTools, sink: WebhookSink, status: int, header: str, seconds: float | None
) -> None:
    sink.fail_next(SinkFault(status=status, headers=(("Retry-After", header),)))
    with pytest.raises(DeliveryFailed) as failed:
        connector(tools, sink.url).publish(shelf.publication())
    assert failed.value.retry_after == seconds
    assert not failed.value.permanent


def test_quotes_what_the_receiver_said_as_one_short_line(
    shelf: Any, tools: ConnectorTools, sink: WebhookSink
) -> None:
    sink.fail_next(SinkFault(status=400, body="<b>No\r\nsuch\x1b[31m story\u202e</b> " + "x" * 5000))
    with pytest.raises(DeliveryFailed) as failed:
        connector(tools, sink.url).publish(shelf.publication())
    message = str(failed.value)
    assert "<b>No such" in message
    assert message.isprintable()
    assert len(message) < 260


def test_nobody_listens(shelf: Any, tools: ConnectorTools, nobody_listens: int) -> None:
    place = connector(tools, f"http://127.0.0.1:{nobody_listens}/hook?token=t0ps3cret")
    for act in (lambda: place.publish(shelf.publication()), place.check, place.send_test):
        with pytest.raises(DeliveryFailed, match=r"127\.0\.0\.1") as failed:
            act()
        assert not failed.value.permanent
        assert "t0ps3cret" not in str(failed.value)


def test_notices_tests_and_checks(tools: ConnectorTools, sink: WebhookSink, notice: Notice) -> None:
    place = connector(tools, sink.url)
    place.notify(notice)
    place.send_test()
    assert "reachable" in place.check()
    told, tried = sink.deliveries
    assert (told.id, told.type, told.body["data"]["title"]) == ("notice-1", "storyrelay.notice", notice.title)
    assert (tried.type, tried.body["data"]["destination"]) == ("storyrelay.test", "team")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"secret": "QUFB" * 8}, "whsec_"),
        ({"secret": "whsec_c2hvcnQ="}, "24 to 64"),
        ({"secret": "whsec_" + "!" * 40}, "24 to 64"),
        ({"url": "ftp://example.test/"}, "http"),
        ({"url": "https://user:t0ps3cret@example.test/"}, "user or password"),
        ({"url": "https://[::1"}, "no URL"),
        ({"headers": {"Webhook-Id": "x"}}, "Webhook-Id"),
        ({"timeout": 0}, "greater than 0"),
        ({"sekret": "x"}, "Extra inputs"),
    ],
)
def test_options_are_checked_and_never_quoted(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as refused:
        WebhookOptions(**{"url": "https://example.test/", "secret": SECRET, **options})
    assert "t0ps3cret" not in str(refused.value)
    assert "c2hvcnQ" not in str(refused.value)


def test_secrets_are_not_shown() -> None:
    options = WebhookOptions(
        url="https://example.test/", secret=SECRET, headers={"Authorization": "Bearer t0ps3cret"}
    )
    assert "t0ps3cret" not in repr(options)
    assert SECRET not in json.dumps(options.model_dump(mode="json"))


@dataclass(frozen=True)
class Receiver:
    """A program that keeps to the events: a withdrawn story is gone, one that is published again is back."""

    sink: WebhookSink
    base: Path

    def connector(self, faults: Faults) -> WebhookConnector:
        http = FaultyHttp(faults)
        return connector(tools_with(self.base, http), self.sink.url)

    def seen(self, key: str) -> Sequence[Seen]:
        stories: list[Seen] = []
        for delivery in self.sink.deliveries:
            if delivery.story_id != key.replace("storyrelay-", "story-"):
                continue
            if delivery.type == "story.withdrawn":
                stories.clear()
            else:
                stories.append(Seen(delivery.body["data"]["story"]["title"], message_id=delivery.id))
        return stories


def tools_with(base: Path, http: FaultyHttp) -> ConnectorTools:
    return ConnectorTools("place", http, base, lambda: datetime.now(UTC))


class TestWebhook(ConnectorContract):
    once = False
    uploads = False

    @pytest.fixture
    def place(self, sink: WebhookSink, tmp_path: Path) -> Place:
        return Receiver(sink, tmp_path)
