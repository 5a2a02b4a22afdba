"""Draws docs/slack.png: what the Slack connector posts, as near to Slack's own look as plain HTML comes.

    .venv/bin/python tests/pictures/slack_message.py        (needs chromium)

The blocks are those that the stand-in took, so what is over a limit or refused can't come into the picture.
"""

import base64
import html
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from handlers.connectors.slack import SlackConnector, SlackOptions
from handlers.video_file import poster, probe
from service.connector_contract import new_story
from service.connectors import ConnectorTools
from service.domain.delivery import Notice, Video
from service.emulator.film import FilmPlan, draw_film
from service.outbound_http import HttpClient
from service.stand_ins.slack import SlackStandIn
from service.stand_ins.slack_shapes import Message

PICTURE = Path(__file__).parents[2] / "docs" / "slack.png"
STYLE = """
body { margin: 0; padding: 18px 22px; width: 660px; background: #fff; color: #1d1c1d;
       font: 15px/1.47 Lato, 'DejaVu Sans', sans-serif }
.message { display: flex; gap: 10px; margin-bottom: 14px } .body { flex: 1; min-width: 0 }
.face { width: 36px; height: 36px; border-radius: 8px; background: #4a154b; color: #fff; font-weight: 900;
        text-align: center; line-height: 36px } .who b { font-weight: 900 } .who small { color: #616061 }
.app { background: #e8e8e8; border-radius: 3px; font-size: 10px; padding: 1px 4px; margin: 0 5px }
h1 { font-size: 18px; margin: 6px 0; overflow-wrap: anywhere } p { margin: 4px 0; white-space: pre-wrap }
a { color: #1264a3; text-decoration: none } .context { color: #616061; font-size: 12.5px }
img { max-width: 360px; border-radius: 8px; border: 1px solid #ddd; display: block; margin-top: 8px }
.thread { border-left: 3px solid #ddd; padding-left: 14px; margin: 12px 0 0 2px }
.buttons { display: flex; gap: 8px; margin: 8px 0 2px } .button { border: 1px solid #bbb; border-radius: 4px;
        padding: 4px 12px; font-weight: 700 } .primary { background: #007a5a; border-color: #007a5a; color: #fff }
.danger { background: #e01e5a; border-color: #e01e5a; color: #fff } .also { color: #616061; font-size: 12.5px }
h2 { font-size: 15px; color: #616061; border-bottom: 1px solid #ddd; margin: 4px 0 12px; padding-bottom: 4px }
.file { border: 1px solid #ddd; border-radius: 8px; padding: 9px 12px; width: 330px } .file small { color: #616061 }
"""


def main() -> None:
    """Publishes a story to the stand-in, with a notice below it, and draws what the channel shows."""
    with tempfile.TemporaryDirectory() as name, HttpClient() as http:
        folder = Path(name)
        with SlackStandIn(folder=folder / "files") as slack:
            options = {"token": "xoxb-stand-in", "channel": "#videos", "api_url": slack.api_url}
            tools = ConnectorTools("team", http, folder, lambda: datetime.now(UTC))
            publish(SlackConnector(SlackOptions.model_validate(options), tools), folder)
            page = folder / "page.html"
            page.write_text(page_of(channel_of(slack, folder / "files")), encoding="utf-8")
        shoot(page, PICTURE, 622)


def publish(place: SlackConnector, folder: Path) -> None:
    """One story and one notice about it."""
    story = replace(new_story(folder), title="The lighthouse keeper's letter")
    draw_film(FilmPlan(story.title, ("The letter", "The tide"), 4, "16:9"), 360, story.video)
    facts = probe(story.video)
    poster(story.video, facts, folder / "poster.jpg")
    size = story.video.stat().st_size
    publication = story.publication()
    video = Video(publication.video.sha256, size, facts.seconds, facts.width, facts.height)
    place.publish(replace(publication, video=video, elsewhere={"blog": "https://blog.example.com/letter"}))
    text = "The mail server refuses the password. Once mended: storyrelay replay 3f9c --destination desk"
    place.notify(
        Notice("1", "delivery_dead", "Not delivered to desk", text, datetime.now(UTC), publication.story.id)
    )


def page_of(body: str) -> str:
    """A page that shows it as Slack would."""
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{body}"


def channel_of(slack: SlackStandIn, files: Path) -> str:
    """The channel as HTML."""
    names = {file.id: file for file in slack.files}
    images = {path.name.split("-")[0]: path for path in files.glob("*.jpg")}

    def shown(message: Message) -> str:
        parts = [*blocks_of(message, images), *(file_of(names[one]) for one in message.files)]
        replies = "".join(shown(reply) for reply in slack.replies(message))
        below = f'<div class="thread">{replies}</div>' if replies else ""
        who = '<div class="who"><b>storyrelay</b><span class="app">APP</span><small>11:42 AM</small></div>'
        if message.broadcast:
            parts.append('<p class="also">also sent to the channel</p>')
        said = f'<div class="body">{who}{"".join(parts)}{below}</div>'
        return f'<div class="message"><div class="face">S</div>{said}</div>'

    # what stands in a thread and in the channel is drawn in its thread
    return "".join(shown(message) for message in slack.messages if not message.is_reply)


def blocks_of(message: Message, images: dict[str, Path]) -> Iterator[str]:
    """Each block as HTML."""
    for block in message.blocks:
        if block["type"] == "header":
            yield f"<h1>{html.escape(block['text']['text'])}</h1>"
        elif block["type"] == "section":
            yield f"<p>{text_of(block['text'])}</p>"
        elif block["type"] == "context":
            yield f'<p class="context">{" ".join(map(text_of, block["elements"]))}</p>'
        elif block["type"] == "actions":
            yield f'<div class="buttons">{"".join(map(button_of, block["elements"]))}</div>'
        elif block["type"] == "image":
            data = base64.b64encode(images[block["slack_file"]["id"]].read_bytes()).decode()
            yield f'<img src="data:image/jpeg;base64,{data}">'


def button_of(element: dict[str, Any]) -> str:
    """A button."""
    look, text = html.escape(element.get("style", "")), html.escape(element["text"]["text"])
    return f'<span class="button {look}">{text}</span>'


def text_of(text: dict[str, Any]) -> str:
    """A text object as HTML; mrkdwn is escaped already but for its links."""
    if text["type"] == "plain_text":
        return html.escape(text["text"])
    linked = re.sub(r"<([^|>]+)\|([^>]+)>", r'<a href="\1">\2</a>', text["text"])
    return re.sub(r"\*([^*]+)\*", r"<b>\1</b>", linked)


def file_of(file: Any) -> str:
    """A shared file."""
    return f'<div class="file"><b>{html.escape(file.title)}</b><br><small>▶ MP4 · {file.name}</small></div>'


def shoot(page: Path, picture: Path, height: int) -> None:
    """Has chromium draw the page, of which `height` pixels are seen."""
    picture.parent.mkdir(exist_ok=True)
    subprocess.run(
        [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--window-size=704,{height}",
            f"--screenshot={picture}",
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )


if __name__ == "__main__":
    main()
