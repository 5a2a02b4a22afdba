"""Questions in Slack: asked once, shown with buttons, then with the answer in their place."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from handlers.connectors.slack import SlackConnector, SlackOptions
from handlers.connectors.slack_question import APPROVE, REJECT
from handlers.sample import STORY
from service.connectors import ConnectorTools
from service.domain.approvals import Question
from service.domain.delivery import DeliveryFailed
from service.outbound_http import HttpClient
from service.stand_ins.slack import SlackFault, SlackStandIn
from service.stand_ins.slack_clicks import NoButton, click
from service.stand_ins.slack_shapes import Message

SECRET = "the-apps-secret"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn() as slack:
        yield slack


def connector(slack: SlackStandIn, secret: str | None = SECRET) -> SlackConnector:
    options = SlackOptions(
        token=SecretStr("xoxb-stand-in"),
        channel="#videos",
        api_url=slack.api_url,
        signing_secret=None if secret is None else SecretStr(secret),
    )
    return SlackConnector(options, ConnectorTools("team", HttpClient(), Path(), lambda: NOW))


def question(kept: dict[str, Any], publication: Mapping[str, Any], **changes: Any) -> Question:
    def save(reference: Mapping[str, Any]) -> None:
        kept.clear()
        kept.update(reference)

    asked = Question(
        story=STORY, destination="team", route="all", waiting=("blog", "shelf"), key="q-1", told="",
        version="asked-0", reminded=False, asked_at=NOW, expires_at=NOW + timedelta(days=3), button="signed",
        link="https://relay.test/approve/x", publication=publication, reference=dict(kept), save=save,
        check=lambda: None,
    )  # fmt: skip
    return replace(asked, **changes)


def story_message(slack: SlackStandIn) -> tuple[Message, dict[str, Any]]:
    answer = slack.workspace.post({"channel": "#videos", "text": "the story"})
    return slack.messages[0], {"channel": answer["channel"], "ts": answer["ts"]}


def texts(message: Message) -> str:
    return str(message.blocks)


def test_it_is_asked_once_below_the_story_with_two_buttons(slack: SlackStandIn) -> None:
    root, where = story_message(slack)
    kept: dict[str, Any] = {}
    for _ in range(2):
        connector(slack).ask(question(kept, where))
    (asked,) = slack.replies(root)
    assert asked.broadcast, "seen in the channel as well"
    assert "go to blog, shelf" in texts(asked)
    for action in (APPROVE, REJECT):
        assert b"signed" in click(asked, action, secret="x", at=0).body


def test_the_answer_stands_in_the_place_of_the_buttons(slack: SlackStandIn) -> None:
    root, where = story_message(slack)
    kept: dict[str, Any] = {}
    connector(slack).ask(question(kept, where))
    answered = question(kept, where, told="Approved by ann", version="approved-0")
    connector(slack).ask(answered)
    (asked,) = slack.replies(root)
    assert "Approved by ann" in texts(asked)
    with pytest.raises(NoButton):
        click(asked, APPROVE, secret="x", at=0)


def test_what_was_asked_without_an_answer_of_slack_is_found(slack: SlackStandIn) -> None:
    root, where = story_message(slack)
    kept: dict[str, Any] = {}
    slack.fail_next("chat.postMessage", SlackFault(drop=True, after_effect=True))
    with pytest.raises(DeliveryFailed):
        connector(slack).ask(question(kept, where))
    connector(slack).ask(question(kept, where))
    assert len(slack.replies(root)) == 1
    assert kept["ts"] == slack.replies(root)[0].ts


def test_people_are_reminded_once_in_the_thread(slack: SlackStandIn) -> None:
    root, where = story_message(slack)
    kept: dict[str, Any] = {}
    connector(slack).ask(question(kept, where))
    for _ in range(2):
        connector(slack).ask(question(kept, where, reminded=True))
    asked, reminder = slack.replies(root)
    assert "still waits" in texts(reminder)
    assert click(asked, APPROVE, secret="x", at=0)
    for _ in range(2):
        connector(slack).ask(question(kept, where, told="Approved by ann", version="approved-0"))
    assert "waits for no answer any more" in texts(reminder), "the channel may show it by itself"
    assert len(slack.replies(root)) == 2
    assert [method for method, _ in slack.calls].count("chat.update") == 2


def test_asked_anew_it_is_another_message(slack: SlackStandIn) -> None:
    root, where = story_message(slack)
    kept: dict[str, Any] = {}
    connector(slack).ask(question(kept, where))
    connector(slack).ask(question(kept, where, told="Rejected by ben", version="rejected-0"))
    connector(slack).ask(question(kept, where, key="q-2"))
    first, second = slack.replies(root)
    assert "Rejected by ben" in texts(first)
    assert click(second, APPROVE, secret="x", at=0)


def test_without_a_signing_secret_it_links_to_the_page(slack: SlackStandIn) -> None:
    root, where = story_message(slack)
    connector(slack, None).ask(question({}, where))
    assert "https://relay.test/approve/x" in texts(slack.replies(root)[0])


def test_a_question_that_is_over_before_it_was_asked_is_not_asked(slack: SlackStandIn) -> None:
    root, where = story_message(slack)
    connector(slack).ask(question({}, where, told="Approved by ann", version="approved-0"))
    assert slack.replies(root) == []
