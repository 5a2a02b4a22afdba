"""People are asked by real processes, and answer as Slack and a browser would; one trace tells the whole way."""

import re
import time
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from urllib.error import HTTPError

import pytest
from machine import QUICK, Machine, await_that, running
from otlp_receiver import OtlpReceiver, ReceivedSpan, otlp_receiver

from service.domain.states import StoryState
from service.emulator import EmulatorOptions, EmulatorServer
from service.ledger import stories
from service.stand_ins.mailbox import Mailbox
from service.stand_ins.slack import SlackStandIn
from service.stand_ins.slack_clicks import Clicked, NoButton, click
from service.stand_ins.slack_shapes import Message
from service.stand_ins.webhook_sink import WebhookSink
from service.story_api import IdeaToVideo

pytestmark = pytest.mark.timeout(180)
PATIENCE = 60.0
SINK_SECRET, APPS_SECRET, TOKEN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "the-apps-secret", "xoxb-stand-in"
TOML = """
[outbound]
allow = ["127.0.0.0/8"]
[destinations.team]
connector = "slack"
token = "{token}"
channel = "#videos"
api_url = "{slack}"
upload = "link"
rate = "1000/s"
signing_secret = "{secret}"
[destinations.desk]
connector = "email"
host = "127.0.0.1"
port = {smtp}
security = "none"
from = "Videos <videos@example.com>"
to = ["desk@example.com"]
[destinations.cms]
connector = "webhook"
url = "{sink}"
secret = "{sink_secret}"
[[routes]]
name = "wide"
when = {{ aspect_ratio = "16:9" }}
approval = "team"
destinations = ["cms"]
[[routes]]
name = "square"
when = {{ aspect_ratio = "1:1" }}
approval = "desk"
destinations = ["cms"]
"""


@dataclass(frozen=True)
class World:
    """A running `up`, and everything around it."""

    machine: Machine
    slack: SlackStandIn
    mailbox: Mailbox
    sink: WebhookSink
    traces: OtlpReceiver
    api_key: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.machine.env['PORT']}"

    def submit(self, title: str, aspect_ratio: str) -> str:
        """Asks for a short video; its id at the Story API."""
        relay = self.machine.relay()
        try:
            wanted = {"title": title, "idea": "A fox", "scene_count": 1, "scene_duration": 1}
            made = relay.submission().submit(IdeaToVideo.read({**wanted, "aspect_ratio": aspect_ratio}))
        finally:
            relay.ledger.close()
        assert made.story_id is not None
        return made.story_id

    def is_settled(self, story_id: str) -> bool:
        relay = self.machine.relay()
        try:
            with relay.ledger.read() as tx:
                row = stories.find(tx, story_id)
        finally:
            relay.ledger.close()
        return row is not None and row.state == StoryState.SETTLED

    def has_arrived(self, story_id: str) -> bool:
        return story_id in [each.story_id for each in self.sink.deliveries]

    def post(self, address: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """The status and text that the web process answers."""
        request = urllib.request.Request(address, body, headers or {})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def slack_sends(self, clicked: Clicked) -> tuple[int, str]:
        return self.post(f"{self.url}/slack/interactions", clicked.body, dict(clicked.headers))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        emulator = stack.enter_context(EmulatorServer(EmulatorOptions(story_seconds=0.5, short_side=120)))
        slack = stack.enter_context(SlackStandIn(token=TOKEN))
        mailbox = stack.enter_context(Mailbox())
        sink = stack.enter_context(WebhookSink(SINK_SECRET))
        traces = stack.enter_context(otlp_receiver())
        toml = TOML.format(
            token=TOKEN, slack=slack.api_url, secret=APPS_SECRET, smtp=mailbox.port, sink=sink.url,
            sink_secret=SINK_SECRET,
        )  # fmt: skip
        env = {
            **QUICK,
            "STORY_API_URL": emulator.url,
            "STORY_API_KEY": emulator.key,
            "STORYRELAY_POLL_FIRST_SECONDS": "600",  # the webhook begins the trace, no poll does
            "OTEL_EXPORTER_OTLP_ENDPOINT": traces.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        machine = stack.enter_context(running(tmp_path_factory.mktemp("up") / "home", toml, env))
        yield World(machine, slack, mailbox, sink, traces, emulator.key)


def awaited(world: World, holds: Callable[[], bool], what: str) -> None:
    await_that(holds, what, PATIENCE, now=lambda: world.machine.log[-3000:])


def question(world: World) -> Message | None:
    """The message with the question, below the one story in the channel."""
    found = [each for story in world.slack.messages for each in world.slack.replies(story)]
    return found[0] if found else None


@pytest.fixture(scope="module")
def answered_in_slack(world: World) -> str:
    """A story that somebody approved in Slack, and whose id this is; another click came too late."""
    story_id = world.submit("The wide one", "16:9")
    awaited(world, lambda: question(world) is not None, "it is asked in Slack")
    asked = question(world)
    assert asked is not None
    assert not world.has_arrived(story_id)
    now = time.time()
    yes, no = "storyrelay_approve", "storyrelay_reject"
    late = click(asked, no, secret=APPS_SECRET, at=now, user=("U0PERSON02", "ben"))
    old = click(asked, no, secret=APPS_SECRET, at=now - 301)
    forged = click(asked, no, secret="a-guess", at=now)
    assert [world.slack_sends(each)[0] for each in (old, forged)] == [HTTPStatus.UNAUTHORIZED] * 2
    assert world.slack_sends(click(asked, yes, secret=APPS_SECRET, at=now)) == (200, "")
    awaited(world, lambda: world.is_settled(story_id), "the story goes on and settles")
    assert world.has_arrived(story_id)
    awaited(world, lambda: "Approved by ann (U0PERSON01)" in str(asked.blocks), "who decided is shown")
    with pytest.raises(NoButton):
        click(asked, yes, secret=APPS_SECRET, at=now)
    assert world.slack_sends(late) == (200, "")
    awaited(world, lambda: "A later click changed nothing" in str(asked.blocks), "the second click is told")
    assert "Approved by ann (U0PERSON01)" in str(asked.blocks)
    return story_id


def test_asked_and_answered_in_slack(world: World, answered_in_slack: str) -> None:
    assert len(world.slack.messages) == 1
    assert len({each.id for each in world.sink.deliveries if each.story_id == answered_in_slack}) == 1


def link(world: World) -> str | None:
    """The address in the mail that asks."""
    for mail in world.mailbox.messages:
        body = mail.message.get_body(("plain",))
        found = re.search(r"http://\S+/approve/\S+", str(body.get_content()) if body else "")
        if found:
            return found[0]
    return None


@pytest.fixture(scope="module")
def answered_by_mail(world: World) -> str:
    """A story that somebody approved by a mail's link, which was then used again."""
    story_id = world.submit("The square one", "1:1")
    awaited(world, lambda: link(world) is not None, "it is asked by mail")
    address = link(world)
    assert address is not None
    for _ in range(2):  # looking decides nothing: mail scanners look, too
        with urllib.request.urlopen(address, timeout=10) as page:
            assert "The square one" in page.read().decode()
    assert not world.has_arrived(story_id)
    form = urllib.parse.urlencode({"answer": "approve", "name": "Ann"}).encode()
    status, text = world.post(address, form)
    assert (status, "Approved by Ann (by the link to desk)" in text) == (200, True)
    awaited(world, lambda: world.is_settled(story_id), "the story goes on and settles")
    assert world.has_arrived(story_id)
    status, text = world.post(address, form.replace(b"approve", b"reject"))
    assert (status, "Nothing changed" in text, "Approved by Ann" in text) == (409, True, True)
    return story_id


def test_asked_and_answered_by_mail(world: World, answered_by_mail: str) -> None:
    assert len({each.id for each in world.sink.deliveries if each.story_id == answered_by_mail}) == 1


def chain(spans: list[ReceivedSpan], span: ReceivedSpan) -> list[str]:
    """The span's name and those of all above it; ends with '?' where one is missing."""
    names, by_id = [span.name], {each.id: each for each in spans}
    while span.parent:
        if span.parent not in by_id:
            return [*names, "?"]
        span = by_id[span.parent]
        names.append(span.name)
    return names


WAY = ["deliver", "download", "fetch", "webhook"]


@pytest.mark.usefixtures("answered_in_slack", "answered_by_mail")
def test_one_webhook_is_one_trace_over_all_processes(world: World) -> None:
    """Of both stories, which waited for people in between."""

    def traces() -> dict[str, list[list[str]]]:
        """What is above each span that delivered to the one who had to wait, by trace."""
        spans, found = list(world.traces.spans), defaultdict[str, list[list[str]]](list)
        for each in spans:
            if (each.name, each.attributes.get("storyrelay.destination")) == ("deliver", "cms"):
                found[each.trace].append(chain(spans, each))
        return found

    def all_are_there() -> bool:
        found = traces().values()
        return len(found) == 2 and all(each == WAY for chains in found for each in chains)

    awaited(world, all_are_there, "the spans of both stories are there")
    for trace in traces():
        of_it = [each for each in list(world.traces.spans) if each.trace == trace]
        assert {each.process for each in of_it} == {"web", "worker"}
        assert len([each for each in of_it if not each.parent]) == 1, "one webhook begins it"
        stories_named = {name for each in of_it if (name := each.attributes.get("storyrelay.story"))}
        assert len(stories_named) == 1


@pytest.mark.usefixtures("answered_in_slack", "answered_by_mail")
def test_no_span_tells_a_secret(world: World) -> None:
    secrets = [SINK_SECRET, APPS_SECRET, TOKEN, world.api_key, "k" * 32]
    secrets += [address.rpartition("/")[2] for address in [link(world)] if address]
    relay = world.machine.relay()
    with relay.ledger.read() as tx:
        ids = [row.submission_id for key in (1, 2) if (row := stories.read(tx, key)) is not None]
    assert len(ids) == 2
    secrets += [relay.webhook_urls.for_submission(each).rpartition("/")[2].rsplit(".", 2)[0] for each in ids]
    relay.ledger.close()
    told = b"\n".join(world.traces.bodies)
    assert len(told) > 1000
    assert [secret for secret in secrets if secret.encode() in told] == []
