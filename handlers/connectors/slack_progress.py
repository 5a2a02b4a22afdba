"""Shows how a story gets on: one message, which becomes the finished story, and a few lines in its thread."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from handlers.connectors.answers import Unanswered
from handlers.connectors.slack_answers import SlackFailed
from handlers.connectors.slack_blocks import PROGRESS_EVENT, STORY_EVENT, line_message, progress_message
from handlers.connectors.slack_bot import Posted, Shown, SlackBot, event_of
from service.domain.delivery import DeliveryFailed, Published
from service.domain.progress import Line, Progress

_CLOCKS_DIFFER = 300
"""Seconds that Slack's clock may be behind ours."""
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})


@dataclass
class ProgressInSlack:
    """One attempt. What is known is kept under the names of `Posting`, from which the publication goes on.

    Each line is looked for in the thread before it is said, so that nothing has to be kept of them.
    """

    progress: Progress
    bot: SlackBot
    now: float
    known: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.known = dict(self.progress.reference)

    def show(self) -> Published:
        """Goes on from where the last attempt came to. Raises DeliveryFailed."""
        if self.known.get("channel") not in (None, self.bot.channel_id()):
            self.known = {}  # the option names another channel by now
        where = self._published() if self.progress.is_published else self._shown()
        if where is None:
            return Published(remark="nothing stands there to go on from", reference=self.known)
        said = self._say_lines(where)
        return Published(remark=f"{self.progress.headline}; {said} in its thread", reference=self.known)

    def _keep(self, **changes: Any) -> None:
        self.known |= {"message_id": f"{self.progress.key}-progress", **changes}
        self.progress.save(self.known)

    def _published(self) -> Posted | None:
        """Where the finished story stands, or what it will be made of."""
        for reference in (self.progress.publication, self.known):
            if reference.get("ts"):
                return _posted(reference)
        return None

    def _shown(self) -> Posted | None:
        """The message of the story's progress, with today's headline; None where somebody has deleted it."""
        if self.known.get("ts") is None and self.known.get("asked_at") is not None:
            self._look()
        if self.known.get("ts") is None:
            self._post()
        elif self.known.get("headline") != self.progress.headline and not self._update():
            return None
        return _posted(self.known)

    def _look(self) -> None:
        oldest = float(self.known["asked_at"]) - _CLOCKS_DIFFER
        for message in self.bot.messages(oldest=oldest):
            kind, payload = event_of(message)
            if kind == STORY_EVENT and payload.get("key") == self.progress.key:
                self._keep(channel=self.bot.channel_id(), ts=str(message["ts"]), asked_at=None)
                return

    def _post(self) -> None:
        self.progress.check()
        self.bot.turn()
        self._keep(asked_at=self.now)
        try:
            posted = self.bot.post(progress_message(self.progress))
        except DeliveryFailed as error:
            if not isinstance(error, Unanswered):
                self._keep(asked_at=None)
            raise
        self._keep(channel=posted.channel, ts=posted.ts, asked_at=None, headline=self.progress.headline)

    def _update(self) -> bool:
        self.progress.check()
        self.bot.turn()
        try:
            self.bot.update(_posted(self.known), progress_message(self.progress))
        except SlackFailed as error:
            if error.code not in _GONE:
                raise
            return False
        self._keep(headline=self.progress.headline)
        return True

    def _say_lines(self, where: Posted) -> int:
        """Says what is not in the thread yet; returns how many lines are there then."""
        if not self.progress.lines:
            return 0
        thread = self.bot.thread(where)
        if not any(str(one.get("ts")) == where.ts and not _is_deleted(one) for one in thread):
            return 0  # a reply to a message that is gone would stand in the channel by itself
        there = {_line_of(message) for message in thread}
        for line in self.progress.lines:
            if line.name not in there:
                self._say(line, where)
        return len(self.progress.lines)

    def _say(self, line: Line, where: Posted) -> None:
        self.progress.check()
        self.bot.turn()
        self.bot.post(line_message(self.progress, line), where, broadcast=False)


def _posted(reference: Mapping[str, Any]) -> Posted:
    return Posted(str(reference.get("channel") or ""), str(reference["ts"]))


def _is_deleted(message: Shown) -> bool:
    return message.get("subtype") == "tombstone"


def _line_of(message: Shown) -> str | None:
    kind, payload = event_of(message)
    return str(payload.get("line")) if kind == PROGRESS_EVENT else None
