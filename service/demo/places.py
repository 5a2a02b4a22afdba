"""The places that the demo publishes to, and the configuration that leads there."""

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from service.demo.folder import DemoFolder
from service.demo.stories import ARCHIVE, MAIL, SLACK, TALL, WEBHOOK
from service.stand_ins.mailbox import Mailbox
from service.stand_ins.slack import SlackStandIn
from service.stand_ins.webhook_sink import WebhookSink

SLACK_TOKEN = "xoxb-demo"  # noqa: S105 - of a stand-in that this process runs


@dataclass(frozen=True)
class Places:
    """Stand-ins on loopback for what the world has: Slack, a mail server, a program that takes webhooks."""

    slack: SlackStandIn
    mailbox: Mailbox
    sink: WebhookSink


@contextmanager
def open_places(folder: DemoFolder) -> Iterator[Places]:
    """Starts the stand-ins, writes the configuration that names them, and keeps Slack's messages in the end."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    with (
        SlackStandIn(token=SLACK_TOKEN, folder=folder.slack_files) as slack,
        Mailbox(folder=folder.mailbox) as mailbox,
        WebhookSink(secret, log=folder.deliveries) as sink,
    ):
        places = Places(slack, mailbox, sink)
        folder.configuration.write_text(configuration(places, folder, secret), encoding="utf-8")
        folder.configuration.chmod(0o600)
        sink.fail_next()  # its first request gets 503, as the busiest program's does
        try:
            yield places
        finally:
            folder.slack_messages.write_text(slack_as_json(slack), encoding="utf-8")


def configuration(places: Places, folder: DemoFolder, secret: str) -> str:
    """The text of storyrelay.toml."""
    return f"""\
# The demo's destinations and routes. All of them are stand-ins that the demo itself runs on this machine.

[outbound]
allow = ["127.0.0.0/8"]             # the emulator serves its videos from here

[destinations.{SLACK}]
connector = "slack"
token = "{SLACK_TOKEN}"
channel = "#videos"
api_url = "{places.slack.api_url}"
rate = "100/s"                      # Slack itself takes one message a second

[destinations.{WEBHOOK}]
connector = "webhook"
url = "{places.sink.url}"
secret = "{secret}"

[destinations.{ARCHIVE}]
connector = "archive"
path = "{folder.archive.name}"

[destinations.{MAIL}]
connector = "email"
host = "127.0.0.1"
port = {places.mailbox.port}
security = "none"                   # to this machine only
from = "Storyrelay <storyrelay@demo.example>"
to = ["viewers@demo.example"]

[[routes]]
name = "all"
destinations = ["{SLACK}", "{WEBHOOK}", "{ARCHIVE}"]

[[routes]]
name = "tall"
when = {{ aspect_ratio = "{TALL}" }}
destinations = ["{MAIL}"]

[notices]
destinations = ["{SLACK}", "{MAIL}"]
every = "0"
"""


def slack_as_json(slack: SlackStandIn) -> str:
    """What the channel shows, with the threads, and the files."""
    messages = [
        {**message.shape(), "replies": [reply.shape() for reply in slack.replies(message)]}
        for message in slack.messages
    ]
    files = [asdict(file) for file in slack.files]
    return json.dumps({"messages": messages, "files": files}, indent=2, ensure_ascii=False) + "\n"
