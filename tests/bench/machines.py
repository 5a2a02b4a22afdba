"""Figures of a whole `storyrelay up`: how soon a webhook's story is at its last destination, and its memory."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from service.domain.states import StoryState
from service.emulator import EmulatorOptions, EmulatorServer
from service.ledger import receipts, reports, stories
from service.stand_ins.mailbox import Mailbox
from service.stand_ins.slack import SlackStandIn
from service.stand_ins.webhook_sink import SinkFault, WebhookSink
from service.story_api import IdeaToVideo
from service.submission import Submission
from tests.bench.figures import Figure
from tests.parts.machine import Machine, await_that, running

VIDEO_BYTES = 2 * 2**20
STEPS = 8
HELD_SECONDS = 60.0
SETTLE_SECONDS = 60
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

TOML = """
[outbound]
allow = ["127.0.0.0/8"]
[destinations.cms]
connector = "webhook"
url = "{sink}"
secret = "{secret}"
max_in_flight = 8
[destinations.shelf]
connector = "archive"
path = "published"
[destinations.team]
connector = "slack"
token = "xoxb-stand-in"
channel = "#videos"
api_url = "{slack}"
rate = "1000/s"
[destinations.desk]
connector = "email"
host = "127.0.0.1"
port = {smtp}
security = "none"
from = "relay@example.com"
to = ["people@example.com"]
[[routes]]
name = "all"
destinations = ["cms", "shelf", "team", "desk"]
[[routes]]
name = "cms"
when = {{ title = "for the CMS alone" }}
destinations = ["cms"]
"""


@dataclass
class Bench:
    """A running machine and the places around it."""

    machine: Machine
    sink: WebhookSink

    def submit(self, route: str) -> int:
        """Submits a story of one second; returns its key in the ledger."""
        relay = self.machine.relay()
        api = relay.story_api()
        submission = Submission(relay.ledger, relay.settings, relay.webhook_urls, api, relay.now)
        wish = IdeaToVideo(idea="A fox walks home", title="Fox", scene_count=1, scene_duration=1)
        return submission.submit(wish, route=route, again=True).key


@contextmanager
def bench(**settings: str) -> Iterator[Bench]:
    """`up` with its defaults but for `settings`, the emulator and four places that answer at once."""
    options = EmulatorOptions(story_seconds=0.5, short_side=360, video_bytes=VIDEO_BYTES)
    with (
        tempfile.TemporaryDirectory(prefix="storyrelay-bench-") as folder,
        EmulatorServer(options) as emulator,
        WebhookSink(SECRET) as sink,
        SlackStandIn() as slack,
        Mailbox() as mailbox,
    ):
        toml = TOML.format(sink=sink.url, secret=SECRET, slack=slack.api_url, smtp=mailbox.port)
        env = {"STORY_API_URL": emulator.url, "STORY_API_KEY": emulator.key, **settings}
        with running(Path(folder) / "home", toml, env) as machine:
            yield Bench(machine, sink)


def latency(rounds: int) -> list[Figure]:
    """Seconds from the webhook's receipt to the end of the last of four deliveries, one story at a time."""
    with bench() as running_bench:
        seconds = [_one_story(running_bench) for _ in range(rounds)]
    remark = "one story at a time, 2 MB video; from the receipt's time to the end of the last attempt, by the ledger"
    return [Figure("webhook accepted → last of four destinations", seconds, "s", at_most=1.5, remark=remark)]


def memory(rounds: int) -> list[Figure]:
    """Memory of all processes of `up`, in MB of PSS (shared pages divided among those who share them)."""
    del rounds  # memory does not vary from round to round: one run
    many = {"STORYRELAY_WORKERS_DELIVER": str(STEPS)}
    with bench(**many) as running_bench:
        at_rest = _pss(running_bench.machine)
        running_bench.sink.fail_next(
            SinkFault(status=204, after_effect=True, delay=HELD_SECONDS), times=STEPS
        )
        for _ in range(STEPS):
            running_bench.submit("cms")
        await_that(
            lambda: running_bench.sink.requests >= STEPS, f"{STEPS} deliveries under way", SETTLE_SECONDS
        )
        busy = _pss(running_bench.machine)
        running_bench.sink.closing.set()
    return [
        Figure(
            "memory of `up` at rest", [at_rest], "MB", remark="PSS of all its processes, the queue server too"
        ),
        Figure(
            f"memory of `up` with {STEPS} steps running", [busy], "MB", remark=f"{STEPS} workers that deliver"
        ),
    ]


def _one_story(running_bench: Bench) -> float:
    key = running_bench.submit("all")
    ledger = running_bench.machine.relay().ledger

    def is_settled() -> bool:
        with ledger.read() as tx:
            row = stories.read(tx, key)
        return row is not None and row.state == StoryState.SETTLED

    await_that(is_settled, "the story is settled", SETTLE_SECONDS)
    with ledger.read() as tx:
        received = min(receipt.received_at for receipt in receipts.of_story(tx, key))
        ended = [attempt.ended_at for attempt in reports.attempts_of(tx, key) if attempt.kind == "deliver"]
    ledger.close()
    return max((at - received).total_seconds() for at in ended if at is not None)


def _pss(machine: Machine) -> float:
    top = psutil.Process(machine.process.pid)
    return sum(process.memory_full_info().pss for process in [top, *top.children(recursive=True)]) / 2**20
