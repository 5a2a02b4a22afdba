"""Asks in Slack: a message in the story's thread, shown in the channel too, whose buttons become the answer.

Clicks come back to `/slack/interactions`, which decides; here is only shown what was decided.
Shapes by docs.slack.dev: the actions block, the button element (a value has at most 2000 characters), and the
confirmation dialog.
"""

from dataclasses import dataclass, field
from typing import Any

from handlers.connectors.answers import Unanswered
from handlers.connectors.slack_answers import SlackFailed
from handlers.connectors.slack_blocks import APPROVAL_EVENT, Block, SlackMessage, fallback
from handlers.connectors.slack_bot import Posted, SlackBot, event_of
from handlers.message_text import clean, cut, line
from service.domain.approvals import Question
from service.domain.delivery import DeliveryFailed, Published

APPROVE, REJECT = "storyrelay_approve", "storyrelay_reject"
_CLOCKS_DIFFER = 300
"""Seconds that Slack's clock may be behind ours."""
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})


@dataclass
class QuestionInSlack:
    """One attempt; `buttons`: clicks come back to us, else the message has a link to the page."""

    question: Question
    bot: SlackBot
    buttons: bool
    known: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        kept = dict(self.question.reference)
        self.known = kept if kept.get("key") == self.question.key else {"key": self.question.key}

    def ask(self) -> Published:
        """Goes on from where the last attempt came to. Raises DeliveryFailed."""
        if self.known.get("ts") is None:
            self._find()
        if self.known.get("ts") is None:
            if not self.question.is_open:
                return Published(remark=f"{self.question.told}; nobody had been asked")
            self._post()
        if self.known.get("version") != self.question.version:
            self._update()
        if self.question.reminded and not self.known.get("reminded"):
            self._remind()
        if not self.question.is_open and self.known.get("reminding"):
            self._close_reminder()
        return Published(remark=self.question.told or "asked")

    def _keep(self, **changes: Any) -> None:
        self.known |= changes
        self.question.save(self.known)

    def _root(self) -> Posted | None:
        reference = self.question.publication
        if not reference.get("ts"):
            return None
        return Posted(str(reference.get("channel") or ""), str(reference["ts"]))

    def _find(self) -> None:
        """What an attempt posted whose answer did not come."""
        if self.known.get("asked_at") is None:
            return
        found = self._posted("asked")
        if found is not None:
            self._keep(channel=found.channel, ts=found.ts, asked_at=None, version=None)

    def _posted(self, what: str) -> Posted | None:
        root = self._root()
        oldest = self.question.asked_at.timestamp() - _CLOCKS_DIFFER
        there = self.bot.thread(root) if root is not None else self.bot.messages(oldest=oldest)
        for message in there:
            kind, payload = event_of(message)
            if kind == APPROVAL_EVENT and (payload.get("key"), payload.get("what")) == (
                self.question.key,
                what,
            ):
                return Posted(root.channel if root else self.bot.channel_id(), str(message["ts"]))
        return None

    def _post(self) -> None:
        self.question.check()
        self.bot.turn()
        self._keep(asked_at=True)
        try:
            posted = self.bot.post(question_message(self.question, buttons=self.buttons), self._root())
        except DeliveryFailed as error:
            if not isinstance(error, Unanswered):
                self._keep(asked_at=None)
            raise
        self._keep(channel=posted.channel, ts=posted.ts, asked_at=None, version=self.question.version)

    def _update(self) -> None:
        where = Posted(str(self.known["channel"]), str(self.known["ts"]))
        self._change(where, question_message(self.question, buttons=self.buttons))
        self._keep(version=self.question.version)

    def _change(self, where: Posted, message: SlackMessage) -> None:
        self.question.check()
        self.bot.turn()
        try:
            self.bot.update(where, message)
        except SlackFailed as error:
            if error.code not in _GONE:
                raise

    def _remind(self) -> None:
        self.question.check()
        reminder = self._posted("reminder") if self.known.get("reminding") else None
        if reminder is None:
            self.bot.turn()
            self._keep(reminding=True)
            self.bot.post(reminder_message(self.question), self._root())
        self._keep(reminded=True)

    def _close_reminder(self) -> None:
        """Says in its place that nothing waits any more; the channel may show it without what is above it."""
        reminder = self._posted("reminder")
        if reminder is not None:
            self._change(reminder, reminder_message(self.question))
        self._keep(reminding=None)


def question_message(question: Question, *, buttons: bool) -> SlackMessage:
    """The question, or how it ended in its place."""
    name = cut(line(question.story.name), 150)
    if not question.is_open:
        return _message(question, "asked", f"{name}: {question.told}", [_section(question.told)])
    wanted = f"May “{name}” go to {', '.join(question.waiting) or 'its other destinations'}?"
    if question.expires_at is not None:
        wanted += f" Without an answer until {question.expires_at:%Y-%m-%d %H:%M} UTC it does not."
    elements = _buttons(question) if buttons else [_link(question)]
    actions: Block = {"type": "actions", "block_id": "storyrelay_approval", "elements": elements}
    return _message(question, "asked", wanted, [_section(wanted), actions])


def reminder_message(question: Question) -> SlackMessage:
    """Reminds of a question that is still open, or says that it was answered."""
    waits = "still waits for your answer" if question.is_open else "waits for no answer any more"
    text = f"“{cut(line(question.story.name), 150)}” {waits}."
    return _message(question, "reminder", text, [_section(text)])


def _message(question: Question, what: str, text: str, blocks: list[Block]) -> SlackMessage:
    payload = {"key": question.key, "what": what, "story_id": question.story.id}
    return SlackMessage(fallback(text), blocks, {"event_type": APPROVAL_EVENT, "event_payload": payload})


def _buttons(question: Question) -> list[Block]:
    return [
        _button(APPROVE, "Approve", "primary", "It then goes to the other destinations.", question.button),
        _button(REJECT, "Reject", "danger", "It then goes to no other destination.", question.button),
    ]


def _button(action: str, text: str, style: str, means: str, value: str) -> Block:
    return {
        "type": "button",
        "action_id": action,
        "text": _plain(text),
        "style": style,
        "value": value,
        "confirm": {
            "title": _plain(f"{text} this story?"),
            "text": _plain(means),
            "confirm": _plain(text),
            "deny": _plain("Cancel"),
            "style": style,
        },
    }


def _link(question: Question) -> Block:
    return {
        "type": "button",
        "action_id": "storyrelay_decide",
        "text": _plain("Decide …"),
        "url": question.link,
    }


def _section(text: str) -> Block:
    return {"type": "section", "text": _plain(cut(clean(text).strip(), 3000) or "–")}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}
