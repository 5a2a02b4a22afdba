import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
import sentry_sdk
from pydantic import ValidationError
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from handlers.connectors.apprise import AppriseConnector, AppriseOptions
from handlers.message_text import BrokenTemplate
from service.connector_contract import ConnectorContract, Faults, Place, Seen
from service.connectors import ConnectorTools, connector_class
from service.domain.delivery import DeliveryFailed, Notice
from service.observability import configure_logging, configure_sentry
from service.outbound_http import HttpClient
from service.stand_ins.mailbox import Mailbox
from service.stand_ins.webhook_sink import SinkFault, WebhookSink

TOKEN = "t0ps3cretToken"


@pytest.fixture
def sink() -> Iterator[WebhookSink]:
    with WebhookSink(None) as open_sink:
        yield open_sink


@pytest.fixture
def other_sink() -> Iterator[WebhookSink]:
    with WebhookSink(None) as open_sink:
        yield open_sink


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as box:
        yield box


def address(sink: WebhookSink) -> str:
    return sink.url.replace("http://", f"json://relay:{TOKEN}@") + f"/{TOKEN}?+X-Key={TOKEN}"


def connector(tools: ConnectorTools, *urls: str, **options: Any) -> AppriseConnector:
    return AppriseConnector(AppriseOptions(urls=list(urls), **{"timeout": 20, **options}), tools)


def said(sink: WebhookSink) -> list[str]:
    return [delivery.body["title"] for delivery in sink.deliveries]


def test_is_found_by_its_name() -> None:
    assert connector_class("apprise") is AppriseConnector


def test_tells_a_service_with_the_poster(shelf: Any, tools: ConnectorTools, sink: WebhookSink) -> None:
    published = connector(tools, address(sink)).publish(shelf.publication())
    (delivery,) = sink.deliveries
    assert delivery.headers["x-key"] == TOKEN
    assert delivery.body["title"] == "A letter"
    assert delivery.body["message"].startswith("A lighthouse keeper finds a letter.")
    assert "https://relay.test/media/v?a=1&b=2" in delivery.body["message"]
    (poster,) = delivery.body["attachments"]
    assert (poster["filename"], poster["mimetype"]) == ("poster.jpg", "image/jpeg")
    assert published.remark == "told JSON"


@pytest.mark.parametrize("form", ["text", "html"])
def test_says_where_the_story_can_be_seen_already(shelf: Any, tools: ConnectorTools, form: str) -> None:
    place = connector(tools, "json://ok.test", format=form)
    plain = place.preview(shelf.publication())[1].text
    publication = replace(shelf.publication(), elsewhere={"tube": "https://tube.test/v?a=1&b=2"})
    assert "Also at" not in plain
    told = {
        "text": "Also at:\nhttps://tube.test/v?a=1&b=2",
        "html": '"https://tube.test/v?a=1&amp;b=2">tube</a>',
    }
    assert told[form] in place.preview(publication)[1].text


def test_without_a_poster(shelf: Any, tools: ConnectorTools, sink: WebhookSink) -> None:
    connector(tools, address(sink), attach="nothing").publish(shelf.publication())
    shelf.poster = None
    connector(tools, address(sink)).publish(shelf.publication(message="step-2"))
    assert [delivery.body["attachments"] for delivery in sink.deliveries] == [[], []]


@pytest.mark.parametrize("form", ["text", "html"])
def test_a_mail_shows_the_text_as_it_is(
    shelf: Any, tools: ConnectorTools, mailbox: Mailbox, hostile: str, form: str
) -> None:
    url = f"mailto://127.0.0.1:{mailbox.port}?from=relay@relay.test&to=desk@desk.test"
    connector(tools, url, format=form).publish(shelf.publication(title=hostile, idea="So " + hostile))
    (mail,) = mailbox.messages
    assert mail.recipients == ("desk@desk.test",)
    assert mail.message["Bcc"] is None
    assert "<script>alert(1)</script>" in mail.message["Subject"]
    body = mail.message.get_body(("html", "plain"))
    assert body is not None
    assert body.get_content_subtype() == {"text": "plain", "html": "html"}[form]
    script = {"text": "<script>", "html": "&lt;script&gt;"}[form]
    assert f"{script}alert(1)" in body.get_content()
    assert body.get_content().count("script") == 2
    assert [part.get_filename() for part in mail.message.iter_attachments()] == ["poster.jpg"]


def test_nobody_is_called(shelf: Any, tools: ConnectorTools, sink: WebhookSink) -> None:
    text = "@everyone @HERE @channel @all <@123> <!channel> <#C1> mail@example.test"
    connector(tools, address(sink)).publish(shelf.publication(title=text, idea=text + "."))
    body = sink.deliveries[0].body
    for shown in (body["title"], body["message"]):
        assert not any(call in shown for call in ("@everyone", "@HERE", "@channel", "@all", "<@", "<!", "<#"))
        assert text in shown.replace("\u200b", "")
        assert "mail@example.test" in shown


def test_those_that_were_told_are_not_told_again(
    shelf: Any, tools: ConnectorTools, sink: WebhookSink, other_sink: WebhookSink
) -> None:
    place = connector(tools, address(sink), address(other_sink))
    sink.fail_next(SinkFault(status=503))
    with pytest.raises(DeliveryFailed, match="JSON answered 503") as failed:
        place.publish(shelf.publication())
    assert (failed.value.permanent, failed.value.refused) == (False, False)
    assert (said(sink), said(other_sink)) == ([], ["A letter"]), "one that fails holds up no other"
    assert TOKEN not in str(shelf.saved)
    shelf.saved = dict(place.publish(shelf.publication()).reference)
    place.publish(shelf.publication())
    assert (said(sink), said(other_sink)) == (["A letter"], ["A letter"])
    place.publish(shelf.publication(repeat=1))
    place.publish(shelf.publication(message="step-2", revision=2))
    assert said(other_sink) == ["A letter", "A letter", "A letter (revision 2)"]


@pytest.mark.parametrize(
    ("statuses", "permanent", "refused"),
    [
        ((400, 404), True, False),
        ((401, 403), False, True),
        ((404, 401), False, True),
        ((404, 503), False, False),
        ((401, 500), False, False),
        ((429, 404), False, False),
    ],
)
def test_what_answers_mean(
    shelf: Any,
    tools: ConnectorTools,
    sink: WebhookSink,
    other_sink: WebhookSink,
    statuses: tuple[int, int],
    permanent: bool,
    refused: bool,
) -> None:
    for one, status in zip((sink, other_sink), statuses, strict=True):
        one.fail_next(SinkFault(status=status, body=f"no {TOKEN}"))
    with pytest.raises(DeliveryFailed) as failed:
        connector(tools, address(sink), address(other_sink)).publish(shelf.publication())
    assert (failed.value.permanent, failed.value.refused) == (permanent, refused)
    assert str(failed.value) == f"JSON answered {statuses[0]}; JSON answered {statuses[1]}"


def test_a_service_that_is_silent_or_gone(
    shelf: Any, tools: ConnectorTools, sink: WebhookSink, nobody_listens: int
) -> None:
    sink.fail_next(SinkFault(delay=30))
    with pytest.raises(DeliveryFailed, match="JSON did not take it, or could not be reached") as silent:
        connector(tools, address(sink), timeout=0.5).publish(shelf.publication())
    with pytest.raises(DeliveryFailed, match="E-Mail did not take it") as gone:
        connector(
            tools, f"mailto://relay:{TOKEN}@127.0.0.1:{nobody_listens}?from=c@b.test&to=a@b.test"
        ).send_test()
    for failed in (silent.value, gone.value):
        assert (failed.permanent, failed.refused) == (False, False)
        assert TOKEN not in str(failed)


def test_an_attempt_that_must_stop_tells_nobody(shelf: Any, tools: ConnectorTools, sink: WebhookSink) -> None:
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        connector(tools, address(sink)).publish(replace(shelf.publication(), check=stop))
    assert sink.requests == 0


def test_each_service_but_the_first_takes_a_token_of_the_rate(
    shelf: Any, tools: ConnectorTools, sink: WebhookSink, other_sink: WebhookSink
) -> None:
    paced: list[int] = []
    counting = replace(tools, pace=lambda: paced.append(sink.requests))
    connector(counting, address(sink), address(other_sink)).publish(shelf.publication())
    assert paced == [1]


class Kept(Transport):
    """What would be sent to Sentry."""

    sent: list[str] = []  # noqa: RUF012  # one for all of the class's instances, as the test wants it

    def capture_envelope(self, envelope: Envelope) -> None:
        self.sent.append(envelope.serialize().decode(errors="replace"))


@pytest.fixture
def sentry() -> Iterator[list[str]]:
    Kept.sent.clear()
    configure_sentry("http://key@sentry.test/1", "1", "tests", transport=Kept)
    yield Kept.sent
    sentry_sdk.get_global_scope().set_client(None)


def test_no_secret_reaches_log_or_sentry(
    shelf: Any,
    tools: ConnectorTools,
    sink: WebhookSink,
    nobody_listens: int,
    sentry: list[str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    configure_logging("text", "debug", "tests")
    try:
        sink.fail_next(SinkFault(status=500, body=TOKEN), times=1)
        gone = f"json://relay:{TOKEN}@127.0.0.1:{nobody_listens}/{TOKEN}"
        with pytest.raises(DeliveryFailed):
            connector(tools, address(sink), gone).publish(shelf.publication())
        with pytest.raises(ValidationError) as refused:
            AppriseOptions(urls=[f"slack://{TOKEN}"])
        logging.getLogger("storyrelay").error("something else")
    finally:
        root.setLevel(before[0])
        root.handlers[:] = before[1]
    log = capfd.readouterr().err
    assert "something else" in log, "the log would show it"
    assert len(sentry) == 1
    assert "something else" in sentry[0]
    for text in (log, sentry[0], str(refused.value), repr(connector(tools, address(sink)).services)):
        assert TOKEN not in text


def test_notices_tests_and_checks(tools: ConnectorTools, sink: WebhookSink, notice: Notice) -> None:
    place = connector(tools, address(sink))
    place.notify(notice)
    place.send_test()
    told, tried = (delivery.body for delivery in sink.deliveries)
    assert told["title"] == "Not delivered <\u200b!here>"
    assert (told["message"], told["type"]) == ("Why: <b>\n& more", "warning")
    assert "team" in tried["message"]
    assert place.check().startswith("JSON: readable addresses")
    assert sink.requests == 2


def test_own_templates(shelf: Any, tools: ConnectorTools, sink: WebhookSink) -> None:
    (tools.base / "body.jinja").write_text("<b>{{ story.idea }}</b>")
    options = {"title": "New: {{ story.title }}", "template": "body.jinja", "format": "html"}
    connector(tools, address(sink), **options).publish(shelf.publication(idea="1 < 2"))
    body = sink.deliveries[0].body
    assert body["title"] == "New: A letter"
    assert body["message"] == "<b>1 &lt; 2</b>"
    with pytest.raises(BrokenTemplate, match="titel"):
        connector(tools, address(sink), title="{{ story.titel }}")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"urls": []}, "at least 1"),
        ({"urls": ["json://ok.test", TOKEN]}, r"number 2 is no address that apprise knows \(it has no ://\)"),
        ({"urls": [f"slack://{TOKEN}"]}, r"number 1 is no address that apprise knows \(slack://…\)"),
        ({"urls": [f"json://{TOKEN}", f"json://{TOKEN}"]}, "twice"),
        ({"attach": "video"}, "poster"),
        ({"timeout": 0}, "greater than 0"),
        ({"url": "json://x"}, "Extra inputs"),
    ],
)
def test_options_are_checked_and_never_quoted(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as refused:
        AppriseOptions(**{"urls": ["json://ok.test"], **options})
    assert TOKEN not in str(refused.value)


def test_apprise_is_loaded_by_those_who_use_it() -> None:
    """It and its plugins take half a second."""
    command = "import sys, handlers.worker, service.cli.program; print('apprise' in sys.modules)"
    assert (
        run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout == "False\n"
    )


@dataclass(frozen=True)
class Told:
    """Two services of one destination, of which the first is looked at; each message names its story's link."""

    sink: WebhookSink
    other: WebhookSink
    base: Path

    def connector(self, faults: Faults) -> AppriseConnector:
        tools = ConnectorTools("place", HttpClient(), self.base, lambda: datetime.now(UTC))
        options = {"template": "contract.jinja"}
        (self.base / "contract.jinja").write_text("{{ story.id }}: {{ links.video }}")
        place = connector(tools, address(self.sink), address(self.other), **options)
        for service in place.services:
            tell = faults.around(service.tell, lambda: DeliveryFailed("the answer was lost"))
            service.tell = tell  # type: ignore[method-assign]
        return place

    def seen(self, key: str) -> Sequence[Seen]:
        story = key.replace("storyrelay-", "story-")
        return [
            Seen(delivery.body["title"].replace("\u200b", ""))
            for delivery in self.sink.deliveries
            if delivery.body["message"].startswith(f"{story}:")
        ]


class TestApprise(ConnectorContract):
    once = False
    updates = False
    withdraws = False
    uploads = False
    over_http = False

    @pytest.fixture
    def place(self, sink: WebhookSink, other_sink: WebhookSink, tmp_path: Path) -> Place:
        return Told(sink, other_sink, tmp_path)
