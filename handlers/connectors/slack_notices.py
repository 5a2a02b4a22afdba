"""Tells a notice in the channel: in the thread of the story that it is about, if that stands there."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from handlers.connectors.slack_answers import SlackFailed
from handlers.connectors.slack_blocks import NOTICE_EVENT, STORY_EVENT, SlackMessage
from handlers.connectors.slack_bot import Posted, Shown, SlackBot, event_of
from service.domain.delivery import DeliveryFailed, Notice, Published

_CLOCKS_DIFFER = 300
"""Seconds that Slack's clock may be behind ours."""
_LOOKED_THROUGH = 1000
"""How many messages back a story is looked for: a notice about an older one stands for itself."""
_CLOSED = frozenset(
    {
        "restricted_action_thread_locked",
        "restricted_action_non_threadable_channel",
        "cannot_reply_to_message",
        "message_not_found",
        "thread_not_found",
    }
)
"""Codes that say that this thread can't be written to, though the channel may be."""


@dataclass(frozen=True)
class _Seen:
    """What the channel shows already: whether the notice is there, and the newest message of its story."""

    notice: bool = False
    story: Posted | None = None


def tell(bot: SlackBot, notice: Notice, message: SlackMessage) -> Published:
    """Posts the notice, unless an attempt without an answer has. Raises DeliveryFailed.

    A reply in a thread is shown in the channel too: who has to know of trouble may not follow the thread.
    """
    seen = _look(bot, notice)
    if seen.notice:
        return Published(remark="it was told already")
    bot.turn()
    try:
        posted = bot.post(message, seen.story)
    except SlackFailed as error:
        if seen.story is None or error.code not in _CLOSED:
            raise
        bot.turn()
        posted = bot.post(message)
        return Published(reference=vars(posted))
    return Published(remark="in the story's thread" if seen.story else "", reference=vars(posted))


def _look(bot: SlackBot, notice: Notice) -> _Seen:
    try:
        channel = bot.channel_id()
        return _find(channel, islice(bot.messages(), _LOOKED_THROUGH), notice)
    except DeliveryFailed as error:
        # a notice has to be told, also where the bot may write and not read
        if error.refused or error.permanent:
            return _Seen()
        raise


def _find(channel: str, messages: Iterator[Shown], notice: Notice) -> _Seen:
    since = notice.at.timestamp() - _CLOCKS_DIFFER
    story: Posted | None = None
    for message in messages:
        ts = str(message["ts"])
        kind, payload = event_of(message)
        if kind == NOTICE_EVENT and payload.get("id") == notice.id:
            return _Seen(notice=True)
        about = kind == STORY_EVENT and payload.get("story_id") == notice.story_id
        if story is None and about and notice.story_id is not None:
            story = Posted(channel, ts)
        if float(ts) < since and (story is not None or notice.story_id is None):
            break
    return _Seen(story=story)
