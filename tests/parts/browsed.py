"""A running service with everything around it, as a browser sees it: stories of each end, and who looks at them."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

from machine import QUICK, Machine, await_that, running
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response

from service.accounts import Accounts
from service.domain.people import Role
from service.domain.states import StoryState
from service.emulator import EmulatorOptions, EmulatorServer
from service.ledger import stories
from service.ledger.stories import StoryRow
from service.stand_ins.mailbox import Mailbox
from service.stand_ins.slack import SlackStandIn
from service.stand_ins.webhook_sink import SinkFault, WebhookSink
from service.story_api import IdeaToVideo
from service.submission import Submission

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATIENCE = 60.0
OWNER, PASSWORD = "ada", "correct horse battery"
Visit = Callable[..., Page]
HOSTILE = '<script>alert(1)</script> & "Tea" for <b>two</b>, القمر'

TOML = """
[outbound]
allow = ["127.0.0.0/8"]
[destinations.team]
connector = "slack"
token = "xoxb-stand-in"
channel = "#videos"
api_url = "{slack}"
rate = "1000/s"
[destinations.cms]
connector = "webhook"
url = "{sink}"
secret = "{secret}"
[destinations.shelf]
connector = "archive"
path = "published"
[destinations.desk]
connector = "email"
host = "127.0.0.1"
port = {smtp}
security = "none"
from = "Videos <videos@example.com>"
to = ["desk@example.com"]
[[routes]]
name = "all"
when = {{ title = "*" }}
destinations = ["team", "shelf"]
[[routes]]
name = "cms"
when = {{ aspect_ratio = "9:16" }}
destinations = ["cms", "desk"]
[[routes]]
name = "asked"
when = {{ aspect_ratio = "1:1" }}
approval = "desk"
destinations = ["cms"]
[notices]
destinations = ["team"]
"""


@dataclass(frozen=True)
class Service:
    """`storyrelay up`, the Story API that it asks and the places that it publishes to."""

    machine: Machine
    emulator: EmulatorServer
    sink: WebhookSink
    slack: SlackStandIn
    mailbox: Mailbox

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self.machine.env['PORT']}"

    @property
    def setup_link(self) -> str:
        """The one-time address that its start has printed."""
        found = re.search(r"first account at (\S+)", self.machine.log)
        assert found is not None, self.machine.log
        return found[1]

    def submit(self, title: str, idea: str = "A fox walks home through the snow.", **more: object) -> str:
        """Asks for a short video; its id at the Story API."""
        asked = {"title": title, "idea": idea, "scene_count": 1, "scene_duration": 2, "aspect_ratio": "16:9"}
        relay = self.machine.relay()
        try:
            submission = Submission(
                relay.ledger, relay.settings, relay.webhook_urls, relay.story_api(), relay.now
            )
            made = submission.submit(IdeaToVideo.read({**asked, **more}))
            assert made.story_id is not None
            return made.story_id
        finally:
            relay.ledger.close()

    def story(self, story_id: str) -> StoryRow:
        """What the ledger has of it."""
        relay = self.machine.relay()
        try:
            with relay.ledger.read() as tx:
                row = stories.find(tx, story_id)
        finally:
            relay.ledger.close()
        assert row is not None
        return row

    def asked_elsewhere(self, idea: str = "A tea cup sails away.") -> str:
        """The id of a story that somebody else has asked the Story API for."""
        body = json.dumps({"idea": idea, "scene_count": 1, "scene_duration": 2}).encode()
        request = urllib.request.Request(f"{self.emulator.url}/v2/story/idea-2-video", data=body)
        request.add_header("X-Api-Key", self.emulator.key)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            said = json.load(answer)
        return str(said.get("id") or said["batch_id"])

    def account(self, name: str, role: Role) -> None:
        """Makes an account with PASSWORD."""
        relay = self.machine.relay()
        try:
            Accounts(relay.ledger, relay.now).add(name, role, PASSWORD, "shell", "")
        finally:
            relay.ledger.close()

    def await_story(self, story_id: str, *states: StoryState) -> None:
        """Waits until it is in one of these states."""
        await_that(
            lambda: self.story(story_id).state in states, f"{story_id} is {states}", PATIENCE,
            now=lambda: (self.story(story_id), self.machine.log[-2000:]),
        )  # fmt: skip

    def webhook(self, body: bytes) -> int:
        """Sends a webhook by the address of the route `all`; the answer's status."""
        done = self.machine.command("webhook-url", "--route", "all")
        assert done.returncode == 0, done.stderr
        request = urllib.request.Request(done.stdout.strip(), data=body)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except HTTPError as error:
            return error.code


@contextmanager
def service(home: Path, short_side: int = 120) -> Iterator[Service]:
    """Starts it all on loopback and free ports; nobody has an account yet and no story is here.

    `short_side` of the videos, in pixels.
    """
    options = EmulatorOptions(story_seconds=1, short_side=short_side, webhook_pauses=(0.5, 1, 2))
    with ExitStack() as stack:
        emulator = stack.enter_context(EmulatorServer(options))
        sink = stack.enter_context(WebhookSink(SECRET))
        slack = stack.enter_context(SlackStandIn())
        mailbox = stack.enter_context(Mailbox())
        toml = TOML.format(sink=sink.url, secret=SECRET, slack=slack.api_url, smtp=mailbox.port)
        env = {**QUICK, "STORY_API_URL": emulator.url, "STORY_API_KEY": emulator.key}
        machine = stack.enter_context(running(home, toml, env))
        yield Service(machine, emulator, sink, slack, mailbox)


@dataclass(frozen=True)
class Seeded:
    """Ids of stories at the Story API, and of a receipt."""

    settled: str
    failed: str
    dead: str
    unmatched: int


def seed(running: Service) -> Seeded:
    """Has stories of each end happen: delivered, failed at the Story API, refused by a destination."""
    running.sink.fail_next(*[SinkFault(status=410, body="<h1>this hook is gone</h1>")])
    dead = running.submit("The upright letter", aspect_ratio="9:16")
    settled = running.submit(HOSTILE)
    failed = running.submit("The storm", "A storm. [fault:fail=the scenes could not be made]")
    assert running.webhook(json.dumps({"status": "success"}).encode()) == 202
    assert running.webhook(b"not JSON") == 400
    running.await_story(settled, StoryState.SETTLED)
    running.await_story(failed, StoryState.FAILED)
    running.await_story(dead, StoryState.SETTLED)
    return Seeded(settled, failed, dead, 1)


@dataclass
class Watch:
    """Whatever a page does that none of ours may: errors on its console, requests to elsewhere, answers of 5xx."""

    base: str
    found: list[str] = field(default_factory=list)
    posted: set[str] = field(default_factory=set)
    refusals: set[int] = field(default_factory=set)
    """Statuses that the test asks for, and that Chromium therefore tells on the console."""

    def over(self, context: BrowserContext) -> None:
        """Watches all pages of this context."""
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.found.append(f"script: {error.error}"))

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob", "about") and not request.url.startswith(f"{self.base}/"):
            self.found.append(f"a request to elsewhere: {request.url}")

    def _response(self, response: Response) -> None:
        path = urlsplit(response.url).path
        if response.request.method == "POST" and response.status < 400:
            self.posted.add(path)
        if response.status >= 400 and response.status not in self.refusals:
            self.found.append(f"{response.status}: {response.request.method} {path}")

    def _console(self, message: ConsoleMessage) -> None:
        refused = any(f"status of {status}" in message.text for status in self.refusals)
        if message.type in ("error", "warning") and not refused:
            self.found.append(f"console {message.type}: {message.text}")


def new_page(browser: Browser, watch: Watch, **options: object) -> Page:
    """A page of a browser of its own, watched; `options` are those of Playwright's new_context."""
    given = {"base_url": watch.base, "viewport": {"width": 1200, "height": 900}, **options}
    context = browser.new_context(**given)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE * 1000 / 3)
    watch.over(context)
    return context.new_page()


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fills in the form of the sign-in page."""
    page.goto("/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
