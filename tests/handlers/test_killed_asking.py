"""SIGKILL while people are asked and while they answer: asked once, decided once, and shown who decided."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from killed import after, die, killed_at
from placed import finished
from relayed import World, make_world

from handlers.connectors import email
from handlers.connectors.slack_bot import SlackBot
from handlers.connectors.slack_question import APPROVE, REJECT
from handlers.step_machine import StepMachine
from handlers.worker import HANDLERS
from service.dispatching import Dispatcher
from service.domain.states import StepKind, StoryState
from service.domain.steps import Lane
from service.ledger import approvals, deciding, people, steps
from service.ledger.approvals import ApprovalRow
from service.question_minding import QuestionMinding
from service.stand_ins.mailbox import Mailbox
from service.stand_ins.slack import SlackStandIn
from service.stand_ins.slack_clicks import NoButton, click
from service.stand_ins.slack_shapes import Message
from service.stand_ins.webhook_sink import WebhookSink
from service.web import create_app

SECRET, APPS_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "the-apps-secret"
TOML = """
[destinations.team]
connector = "slack"
token = "xoxb-stand-in"
channel = "#videos"
api_url = "{slack}"
upload = "link"
rate = "1000/s"
signing_secret = "the-apps-secret"
[destinations.desk]
connector = "email"
host = "127.0.0.1"
port = {smtp}
security = "none"
from = "a@example.com"
to = ["b@example.com"]
rate = "1000/s"
[destinations.cms]
connector = "webhook"
url = "{sink}"
secret = "{secret}"
[[routes]]
name = "all"
approval = "team"
destinations = ["cms"]
"""


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as slack:
        yield slack


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def sink() -> Iterator[WebhookSink]:
    with WebhookSink(SECRET) as sink:
        yield sink


@pytest.fixture
def world(
    tmp_path: Path, sqlite_url: str, slack: SlackStandIn, mailbox: Mailbox, sink: WebhookSink
) -> Iterator[World]:
    toml = TOML.format(slack=slack.api_url, smtp=mailbox.port, sink=sink.url, secret=SECRET)
    world = make_world(tmp_path, sqlite_url, toml, {})
    # the sink takes signatures of five minutes either way (Standard Webhooks): room to move the clock in
    world.clock.time = datetime.now(UTC) - timedelta(minutes=4)
    yield world
    world.relay.ledger.close()


def made(world: World, asked: str = "team") -> None:
    finished(world, deliver=False)
    relay, wanted = (
        world.relay,
        [steps.NewStep(Lane(StepKind.DELIVER, to), 1, 1, "all") for to in (asked, "cms")],
    )
    with relay.ledger.write() as tx:
        steps.add(tx, wanted, world.clock())
        approvals.ask(tx, 1, 1, {"all": asked}, relay.configuration.approval, world.clock())


def next_step(world: World, kind: StepKind) -> Callable[[], None]:
    """Runs what comes before the next step of this kind; that one is to be run by who asks."""
    world.relay.dispatcher.sweep()
    while True:
        step = world.queue.jobs.pop(0)
        if any(row.id == step and row.kind == kind for row in world.steps("story-1").values()):
            return lambda: StepMachine(world.relay, HANDLERS).run(step)
        StepMachine(world.relay, HANDLERS).run(step)


def goes_on(world: World) -> None:
    """Lets leases lapse and sweeps pass."""
    for _ in range(2):
        world.clock.move(61)
        world.run()


def question(world: World) -> ApprovalRow:
    with world.relay.ledger.read() as tx:
        row = approvals.read(tx, 1)
    assert row is not None
    return row


def below(slack: SlackStandIn) -> list[Message]:
    """What was asked in the one story's thread."""
    (story,) = slack.messages
    return slack.replies(story)


def pressed(world: World, slack: SlackStandIn, action: str) -> Callable[[], int]:
    """A click on the message's button as it stands now, sent to the web application."""
    at = world.clock().timestamp()
    request = click(below(slack)[0], action, secret=APPS_SECRET, at=at)

    def send() -> int:
        client = create_app(world.relay).test_client()
        answer = client.post("/slack/interactions", data=request.body, headers=dict(request.headers))
        return answer.status_code

    return send


def minding(world: World) -> QuestionMinding:
    return QuestionMinding(world.relay.ledger, world.relay.configuration, world.relay.now)


Point = tuple[Any, str, Callable[..., Any]]
ASKING: dict[str, Point] = {
    "before the message": (SlackBot, "post", die),
    "between the message and its reference": (SlackBot, "post", after(SlackBot.post)),
    "between the reference and the record": (StepMachine, "_record", die),
    "within the record": (steps, "end_attempt", die),
}


@pytest.mark.parametrize("point", ASKING)
def test_killed_while_asking(world: World, slack: SlackStandIn, point: str) -> None:
    made(world)
    killed_at(*ASKING[point], act=next_step(world, StepKind.ASK))
    goes_on(world)
    assert len(below(slack)) == 1
    assert pressed(world, slack, APPROVE)() == 200
    assert question(world).decided_by == "ann (U0PERSON01)", "the button names the question that is open"


ANSWERING: dict[str, tuple[Point, bool]] = {
    "before the decision is committed": ((people, "note_deed", die), False),
    "between the decision and its dispatch": ((Dispatcher, "dispatch", die), True),
    "while it is dispatched": ((Dispatcher, "_enqueue", die), True),
}


@pytest.mark.parametrize("action", [APPROVE, REJECT])
@pytest.mark.parametrize("point", ANSWERING)
def test_killed_while_answering(
    world: World, slack: SlackStandIn, sink: WebhookSink, point: str, action: str
) -> None:
    where, counts = ANSWERING[point]
    made(world)
    world.run()
    press = pressed(world, slack, action)
    killed_at(*where, act=press)
    assert question(world).is_open != counts, "whole or not at all"
    if not counts:
        assert press() == 200  # Slack shows that it got no answer, and its user presses again
    goes_on(world)
    said = "Approved" if action == APPROVE else "Rejected"
    (asked,) = below(slack)
    assert f"{said} by ann (U0PERSON01)" in str(asked.blocks)
    with pytest.raises(NoButton):
        click(asked, action, secret="x", at=0)
    assert len({each.id for each in sink.deliveries}) == (action == APPROVE)
    assert world.story("story-1").state == StoryState.SETTLED
    with world.relay.ledger.read() as tx:
        assert len(people.deeds(tx, 5)) == 1


SHOWING: dict[str, Point] = {
    "before it is shown": (SlackBot, "update", die),
    "between the showing and its reference": (SlackBot, "update", after(SlackBot.update)),
    "between the reference and the record": (StepMachine, "_record", die),
}


@pytest.mark.parametrize("point", SHOWING)
def test_killed_while_showing_who_decided(world: World, slack: SlackStandIn, point: str) -> None:
    made(world)
    world.run()
    pressed(world, slack, APPROVE)()
    killed_at(*SHOWING[point], act=next_step(world, StepKind.ASK))
    goes_on(world)
    (asked,) = below(slack)
    assert "Approved by ann (U0PERSON01)" in str(asked.blocks)


def test_killed_while_a_delivery_goes_on(world: World, slack: SlackStandIn, sink: WebhookSink) -> None:
    made(world)
    world.run()
    pressed(world, slack, APPROVE)()
    killed_at(StepMachine, "_record", die, next_step(world, StepKind.DELIVER))
    goes_on(world)
    assert len(sink.deliveries) == 2, "a webhook's receiver tells repeats by their id"
    assert len({each.id for each in sink.deliveries}) == 1
    assert world.story("story-1").state == StoryState.SETTLED


@pytest.mark.parametrize("point", ["before the commit", "before the message", "after the message"])
def test_killed_while_reminding(world: World, slack: SlackStandIn, point: str) -> None:
    made(world)
    world.run()
    world.clock.move(4 * 3600)
    if point == "before the commit":
        killed_at(deciding, "show", die, minding(world).run)
    assert minding(world).run() == 1
    if point != "before the commit":
        how = die if point == "before the message" else after(SlackBot.post)
        killed_at(SlackBot, "post", how, next_step(world, StepKind.ASK))
    goes_on(world)
    assert minding(world).run() == 0
    asked, reminder = below(slack)
    assert "still waits for your answer" in str(reminder.blocks)
    assert click(asked, APPROVE, secret="x", at=0)


def test_answered_after_a_kill_while_reminding(world: World, slack: SlackStandIn) -> None:
    made(world)
    world.run()
    world.clock.move(4 * 3600)
    minding(world).run()
    killed_at(SlackBot, "post", after(SlackBot.post), next_step(world, StepKind.ASK))
    assert pressed(world, slack, REJECT)() == 200
    goes_on(world)
    asked, reminder = below(slack)
    assert "Rejected by ann" in str(asked.blocks)
    assert "waits for no answer any more" in str(reminder.blocks)


@pytest.mark.parametrize("point", ["before the commit", "after the commit"])
def test_killed_while_a_question_expires(world: World, slack: SlackStandIn, point: str) -> None:
    made(world)
    world.run()
    world.clock.move(3 * 86400)
    if point == "before the commit":
        killed_at(QuestionMinding, "_tell", after(QuestionMinding._tell), minding(world).run)
        assert question(world).is_open
        assert minding(world).run() == 1
    else:
        killed_at(QuestionMinding, "_remind", die, minding(world).run)
        assert minding(world).run() == 0
    goes_on(world)
    (asked,) = below(slack)
    assert "Rejected, for nobody answered in time" in str(asked.blocks)
    assert world.story("story-1").state == StoryState.SETTLED


def test_a_mail_that_was_sent_and_not_written_down_is_sent_again_as_the_same(
    world: World, mailbox: Mailbox
) -> None:
    made(world, "desk")
    killed_at(email, "transmit", after(email.transmit), next_step(world, StepKind.ASK))
    goes_on(world)
    questions = [mail.message for mail in mailbox.messages if "Approve" in str(mail.message["Subject"])]
    assert [len(questions), len({str(each["Message-ID"]) for each in questions})] == [2, 1]
    assert len({each.get_content() for each in questions}) == 1, "with the same link"
