"""Block Kit for stories and notices: what a story says goes into plain_text, which Slack shows as it is.

Limits are those of Slack's Block Kit reference: 150 characters in a header, 3000 in a section, 2000 in an alt text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from handlers.message_text import clean, cut, line, mrkdwn, readable
from service.domain.delivery import Notice, Publication, StoryFacts
from service.domain.progress import Line, Progress

Block = Mapping[str, Any]
STORY_EVENT = "storyrelay_story"
NOTICE_EVENT = "storyrelay_notice"
TEST_EVENT = "storyrelay_test"
PROGRESS_EVENT = "storyrelay_progress"
APPROVAL_EVENT = "storyrelay_approval"
EVENTS = frozenset({STORY_EVENT, NOTICE_EVENT, TEST_EVENT, PROGRESS_EVENT, APPROVAL_EVENT})
_MOST_LINKS = 10
_LONGEST_URL = 1000
_HALF = re.compile(r"(<[^<>]*|&[a-z]{0,4})$")


@dataclass(frozen=True)
class SlackMessage:
    """A message to post: the text of its notification, its blocks, and its metadata."""

    text: str
    blocks: Sequence[Block]
    metadata: Mapping[str, Any]


def story_message(publication: Publication, facts: str, image: Block | None) -> SlackMessage:
    """The story's message. `facts` is mrkdwn; `image` comes from `slack_image` or `web_image`."""
    blocks = _story_blocks(publication, facts, image)
    return SlackMessage(fallback(readable(publication.story).name), blocks, story_metadata(publication))


def _story_blocks(publication: Publication, facts: str, image: Block | None) -> list[Block]:
    shown = readable(publication.story)
    blocks: list[Block] = [_header(shown.name)]
    if shown.idea.strip() and shown.idea.strip() != shown.name:
        blocks.append(_plain(cut(shown.idea.strip(), 600)))
    blocks.append(
        {"type": "section", "text": {"type": "mrkdwn", "text": cut_mrkdwn(facts, 3000), "verbatim": True}}
    )
    blocks += _elsewhere(publication)
    return blocks if image is None else [*blocks, image]


def _elsewhere(publication: Publication) -> list[Block]:
    """Links to the places that have the story already; their addresses are what those places said."""
    links = [
        f"<{_address(url)}|{mrkdwn(line(name))}>"
        for name, url in publication.elsewhere.items()
        if name != publication.destination
        and url.startswith(("https://", "http://"))
        and len(url) <= _LONGEST_URL
    ]
    shown = links[:_MOST_LINKS]
    if not shown:
        return []
    text = {"type": "mrkdwn", "text": cut_mrkdwn("Also at " + " · ".join(shown), 3000), "verbatim": True}
    return [{"type": "context", "elements": [text]}]


def _address(url: str) -> str:
    """A URL that can't leave the `<url|text>` that it stands in."""
    return mrkdwn(quote(url, safe="%/:?#[]@!$&'()*+,;=~-._"))


def progress_message(progress: Progress) -> SlackMessage:
    """How the story stands; by its key the finished story takes its place."""
    shown = readable(progress.story)
    blocks = [_header(shown.name)]
    if shown.idea.strip() and shown.idea.strip() != shown.name:
        blocks.append(_plain(cut(shown.idea.strip(), 600)))
    blocks.append({"type": "context", "elements": [_text(progress.headline)]})
    payload = {
        "key": progress.key,
        "message_id": f"{progress.key}-progress",
        "revision": 0,
        "story_id": shown.id,
    }
    metadata = {"event_type": STORY_EVENT, "event_payload": payload}
    return SlackMessage(fallback(f"{shown.name} – {progress.headline}"), blocks, metadata)


def line_message(progress: Progress, line: Line) -> SlackMessage:
    """One thing that happened to it, for its thread."""
    blocks = [{"type": "context", "elements": [_text(line.text)]}]
    payload = {"key": progress.key, "line": line.name, "story_id": progress.story.id}
    return SlackMessage(fallback(line.text), blocks, {"event_type": PROGRESS_EVENT, "event_payload": payload})


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
        "story_id": publication.story.id,
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


def _text(text: str) -> Block:
    return {"type": "plain_text", "text": cut(clean(text).strip(), 2000) or "–", "emoji": False}


def _alt(story: StoryFacts) -> str:
    return cut(f"Poster of {line(story.name)}", 2000)
