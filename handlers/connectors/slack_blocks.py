"""Block Kit for stories and notices: what a story says goes into plain_text, which Slack shows as it is.

Limits are those of Slack's Block Kit reference: 150 characters in a header, 3000 in a section, 2000 in an alt text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from handlers.message_text import clean, cut, line, mrkdwn, readable
from service.domain.delivery import Notice, Publication, StoryFacts

Block = Mapping[str, Any]
STORY_EVENT = "storyrelay_story"
NOTICE_EVENT = "storyrelay_notice"
TEST_EVENT = "storyrelay_test"
_HALF = re.compile(r"(<[^<>]*|&[a-z]{0,4})$")


@dataclass(frozen=True)
class SlackMessage:
    """A message to post: the text of its notification, its blocks, and its metadata."""

    text: str
    blocks: Sequence[Block]
    metadata: Mapping[str, Any]


def story_blocks(story: StoryFacts, facts: str, image: Block | None) -> list[Block]:
    """The story's message. `facts` is mrkdwn; `image` comes from `slack_image` or `web_image`."""
    shown = readable(story)
    blocks: list[Block] = [_header(shown.name)]
    if shown.idea.strip() and shown.idea.strip() != shown.name:
        blocks.append(_plain(cut(shown.idea.strip(), 600)))
    blocks.append(
        {"type": "section", "text": {"type": "mrkdwn", "text": cut_mrkdwn(facts, 3000), "verbatim": True}}
    )
    return blocks if image is None else [*blocks, image]


def notice_blocks(notice: Notice) -> list[Block]:
    """A notice's message."""
    return [_header(notice.title), _plain(clean(notice.text).strip() or notice.kind)]


def test_blocks(destination: str) -> list[Block]:
    """A message that says that it is a test."""
    return [_header("Test"), _plain(f"A test of {destination} by Storyrelay. Nothing was published.")]


def fallback(text: str) -> str:
    """The text of notifications, which is mrkdwn: on one line, and escaped."""
    return mrkdwn(cut(line(text), 300))


def slack_image(file: str, story: StoryFacts) -> Block:
    """An image that was uploaded to Slack."""
    return {"type": "image", "slack_file": {"id": file}, "alt_text": _alt(story)}


def web_image(url: str | None, story: StoryFacts) -> Block | None:
    """An image that Slack fetches itself, if it can: over https, from a host that is not this machine."""
    if url is None or len(url) > 3000:
        return None
    parts = urlsplit(url)
    if parts.scheme != "https" or (parts.hostname or "localhost") in ("localhost", "127.0.0.1", "::1"):
        return None
    return {"type": "image", "image_url": url, "alt_text": _alt(story)}


def story_metadata(publication: Publication) -> dict[str, Any]:
    """What the connector finds the message by, when it reads the channel back."""
    payload = {
        "key": publication.key,
        "message_id": publication.message_id,
        "revision": publication.story.revision,
    }
    return {"event_type": STORY_EVENT, "event_payload": payload}


def cut_mrkdwn(text: str, limit: int) -> str:
    """At most `limit` characters, without half a link or half an escaped character at the end."""
    if len(text) <= limit:
        return text
    return _HALF.sub("", cut(text, limit).removesuffix("…")).rstrip() + "…"


def _header(text: str) -> Block:
    return {
        "type": "header",
        "text": {"type": "plain_text", "text": cut(line(text), 150) or "–", "emoji": False},
    }


def _plain(text: str) -> Block:
    return {"type": "section", "text": {"type": "plain_text", "text": cut(text, 3000), "emoji": False}}


def _alt(story: StoryFacts) -> str:
    return cut(f"Poster of {line(story.name)}", 2000)
