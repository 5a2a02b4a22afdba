"""What people read in Slack and by mail when they are told of one trouble, of several, and of an end."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from relayed import World, make_world

from service.digesting import send_due
from service.domain.notices import NoticeKind, Trouble
from service.domain.states import Origin, StoryState
from service.ledger import notices, stories, troubles
from service.ledger.stories import NewStory
from service.stand_ins.mailbox import Mailbox
from service.stand_ins.slack import SlackStandIn

HOSTILE = "<!channel> *now* <https://evil.example|Tea> & `x`"
TOML = """
[outbound]
allow = ["127.0.0.0/8"]
[destinations.team]
connector = "slack"
token = "xoxb-stand-in"
channel = "#videos"
api_url = "{slack}"
rate = "1000/s"
[destinations.desk]
connector = "email"
host = "127.0.0.1"
port = {smtp}
security = "none"
from = "a@example.com"
to = ["b@example.com"]
rate = "1000/s"
[notices]
destinations = ["team", "desk"]
[notices.digest]
at = "08:00"
timezone = "UTC"
destinations = ["team", "desk"]
"""


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as running:
        yield running


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, sqlite_url: str, slack: SlackStandIn, mailbox: Mailbox) -> Iterator[World]:
    made = make_world(tmp_path, sqlite_url, TOML.format(slack=slack.api_url, smtp=mailbox.port), {})
    yield made
    made.relay.ledger.close()


def fail(world: World, number: int) -> None:
    trouble = Trouble(
        f"k{number}", NoticeKind.STORY_FAILED, f"Story failed: {HOSTILE}", f"No {number}: {HOSTILE}"
    )
    with world.relay.ledger.write() as tx:
        notices.add(tx, trouble, world.relay.configuration.notices, world.clock())


def in_slack(slack: SlackStandIn) -> list[str]:
    """Each message's texts, as Slack was sent them."""
    return [str(message.shape()) for message in slack.messages]


def by_mail(mailbox: Mailbox) -> list[tuple[str, str]]:
    parts = [(mail.message["Subject"], mail.message.get_body(("plain",))) for mail in mailbox.messages]
    return [
        (str(subject).strip(), body.get_content().replace("\r\n", "\n")) for subject, body in parts if body
    ]


def test_one_then_several_in_one_message(world: World, slack: SlackStandIn, mailbox: Mailbox) -> None:
    fail(world, 0)
    world.run()
    for number in range(1, 8):
        fail(world, number)
    world.run()
    world.clock.move(3601)
    world.run()
    first, gathered = in_slack(slack)
    assert "'text': 'Story failed: &lt;!channel&gt; *now* &lt;https" in first, (
        "the notification's text is escaped"
    )
    assert "'mrkdwn'" not in first + gathered, "plain text means nothing but itself"
    assert "7 stories failed since 2026-03-01 12:00 UTC" in gathered
    assert "… and 2 more: https://relay.example/notices" in gathered
    (subject, text), (subject_of_all, all_of_it) = by_mail(mailbox)
    assert subject == f"[Storyrelay] Story failed: {HOSTILE}"
    assert text.startswith(f"No 0: {HOSTILE}\n")
    assert subject_of_all == "[Storyrelay] 7 stories failed since 2026-03-01 12:00 UTC"
    assert all_of_it.splitlines()[:6] == [
        *(f"• Story failed: {HOSTILE} – No {number}: {HOSTILE}" for number in (7, 6, 5, 4, 3)),
        "… and 2 more: https://relay.example/notices",
    ]


def test_an_end_says_how_long_it_lasted(world: World, slack: SlackStandIn, mailbox: Mailbox) -> None:
    with world.relay.ledger.write() as tx:
        trouble = Trouble("", NoticeKind.DISK_LOW, "The disk is nearly full", "Make room.")
        troubles.begin(tx, trouble, world.relay.configuration.notices, world.clock())
    world.run()
    world.clock.move(1800)
    with world.relay.ledger.write() as tx:
        troubles.end(tx, NoticeKind.DISK_LOW, world.clock())
    world.run()
    assert [subject for subject, _ in by_mail(mailbox)] == [
        "[Storyrelay] The disk is nearly full",
        "[Storyrelay] Over: The disk is nearly full",
    ]
    assert "It lasted 30 minutes." in in_slack(slack)[1]


def test_the_digest_of_a_bad_day_is_whole_and_says_what_titles_say(
    world: World, slack: SlackStandIn, mailbox: Mailbox
) -> None:
    yesterday = world.clock() - timedelta(days=1)
    with world.relay.ledger.write() as tx:
        story = stories.add(
            tx, NewStory("sub_1", Origin.SUBMITTED, StoryState.FAILED, title=HOSTILE), yesterday
        )
        trouble = Trouble("k", NoticeKind.STORY_FAILED, f"Story failed: {HOSTILE}", "Why.", story)
        notices.record(tx, trouble, yesterday)
    assert send_due(world.relay)
    world.run()
    ((subject, text),) = by_mail(mailbox)
    assert subject == "[Storyrelay] Saturday, 28 February 2026: 1 story, 1 not published"
    assert text.splitlines()[:6] == [
        "1 story came in: 1 not published.",
        "",
        "What people were told of: 1 story failed.",
        f"• Story failed: {HOSTILE}: https://relay.example/stories/sub_1",
        "All of it: https://relay.example/notices",
        "",
    ]
    (shown,) = slack.messages
    header, body = shown.blocks
    assert (header["type"], header["text"]["text"]) == ("header", subject.removeprefix("[Storyrelay] "))
    assert body["text"]["type"] == "plain_text", "which means nothing but itself"
    assert body["text"]["text"].splitlines() == text.splitlines()[: len(body["text"]["text"].splitlines())]
    assert body["text"]["text"].endswith("\nhttps://relay.example/")
