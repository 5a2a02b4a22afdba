"""Questions where nothing can be changed afterwards: asked once, reminded once, with a link to the page."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from handlers.connectors.question_text import ask_by_notice
from handlers.sample import STORY
from service.domain.approvals import Question
from service.domain.delivery import Notice, Published

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_it_is_asked_once_reminded_once_and_silent_afterwards() -> None:
    kept: dict[str, Any] = {}
    sent: list[Notice] = []

    def save(reference: Mapping[str, Any]) -> None:
        kept.update(reference)

    def send(notice: Notice) -> Published:
        sent.append(notice)
        return Published()

    asked = Question(
        story=STORY, destination="desk", route="all", waiting=("blog",), key="q-1", told="", version="1",
        reminded=False, asked_at=NOW, expires_at=NOW, button="", link="https://relay.test/approve/x",
        publication={}, reference=kept, save=save, check=lambda: None,
    )  # fmt: skip
    for question in (asked, asked, replace(asked, reminded=True), replace(asked, reminded=True)):
        ask_by_notice(question, send)
    ask_by_notice(replace(asked, told="Approved by ann"), send)
    assert [each.id for each in sent] == ["q-1", "q-1-reminder"]
    assert "https://relay.test/approve/x" in sent[0].text
    assert sent[1].title.startswith("Reminder")
    ask_by_notice(replace(asked, key="q-2", reference=dict(kept)), send)
    assert sent[-1].id == "q-2", "asked anew"
