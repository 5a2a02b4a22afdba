"""Many stories, lossy webhooks, failing places, killed workers, a flushed queue: all arrive, each once."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from machine import QUICK, Machine, await_that, kill_with_children, running

from service.domain.states import StoryState
from service.emulator import EmulatorOptions, EmulatorServer
from service.ledger import stories
from service.stand_ins.mailbox import Mailbox
from service.stand_ins.slack import SlackFault, SlackStandIn
from service.stand_ins.webhook_sink import WebhookSink
from service.story_api import IdeaToVideo, Unavailable
from service.submission import Submission

BOUND = 450
"""Seconds that only a machine at a standstill reaches: one with other work takes several times the usual minute."""
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

TOML = """
[outbound]
allow = ["127.0.0.0/8"]
[destinations.sink]
connector = "webhook"
url = "{sink}"
secret = "{secret}"
[destinations.shelf]
connector = "archive"
path = "published"
[destinations.team]
connector = "slack"
token = "xoxb-stand-in"
channel = "#videos"
api_url = "{slack}"
rate = "1000/s"
upload = "link"
[destinations.mail]
connector = "email"
host = "127.0.0.1"
port = {smtp}
security = "none"
from = "relay@example.com"
to = ["people@example.com"]
[[routes]]
name = "all"
destinations = ["sink", "shelf", "team", "mail"]
"""


@dataclass
class Places:
    emulator: EmulatorServer
    sink: WebhookSink
    slack: SlackStandIn
    mailbox: Mailbox

    @property
    def toml(self) -> str:
        return TOML.format(
            sink=self.sink.url, secret=SECRET, slack=self.slack.api_url, smtp=self.mailbox.port
        )


@pytest.fixture
def places() -> Iterator[Places]:
    options = EmulatorOptions(
        story_seconds=2,
        short_side=90,
        seed=7,
        webhook_pauses=(0.5, 1, 2),
        faults={"webhook-never": 0.3, "webhook-twice": 0.2, "api-error": 0.1},
    )
    with ExitStack() as stack:
        yield Places(
            stack.enter_context(EmulatorServer(options)),
            stack.enter_context(WebhookSink(SECRET, error_rate=0.1, seed=7)),
            stack.enter_context(SlackStandIn()),
            stack.enter_context(Mailbox()),
        )


@dataclass(frozen=True)
class Size:
    """How much is done, and how much is done to it."""

    stories: int
    kills: int
    flushes: int


USUAL, EVERYWHERE = Size(12, 2, 1), Size(60, 6, 3)
"""Of each run, and with `--everywhere`."""


@dataclass
class Havoc:
    """Hurts the machine at moments spread over the run; each blow once something is under way."""

    machine: Machine
    places: Places
    size: Size
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    done: Counter[str] = field(default_factory=Counter)

    def blow(self) -> None:
        if self.done["kill"] < self.size.kills and self._kill_worker():
            self.done["kill"] += 1
        if self.done["flush"] < self.size.flushes and self.done["kill"] % 2 == 0:
            self.machine.flush_queue()
            self.done["flush"] += 1
        self.places.slack.fail_next(
            "chat.postMessage", SlackFault(status=503, after_effect=self.rng.random() < 0.5)
        )
        self.places.mailbox.faults.data.append("451 4.3.0 try again later")

    def _kill_worker(self) -> bool:
        workers = self.machine.workers()
        busy = [worker for worker in workers if worker.children()]
        if not workers:
            return False
        kill_with_children(self.rng.choice(busy or workers))
        return True

    @property
    def over(self) -> bool:
        return self.done["kill"] >= self.size.kills and self.done["flush"] >= self.size.flushes


def submit_all(machine: Machine, count: int) -> list[str]:
    """Submits the stories; a submit that the API answered 500 is asked again, as a person would."""
    relay = machine.relay()
    submission = Submission(relay.ledger, relay.settings, relay.webhook_urls, relay.story_api(), relay.now)
    ids = []
    for number in range(count):
        request = IdeaToVideo(
            idea=f"Story number {number}", title=f"Story {number}", scene_count=1, scene_duration=1
        )
        ids.append(_submit(submission, request))
    return ids


def _submit(submission: Submission, request: IdeaToVideo) -> str:
    for _ in range(20):
        try:
            answer = submission.submit(request, again=True)
        except Unavailable:
            continue
        if answer.story_id is not None:
            return answer.story_id
    raise AssertionError("the emulator answered twenty submissions in a row with 500")


def states(machine: Machine) -> dict[str, int]:
    with machine.relay().ledger.read() as tx:
        return stories.counts(tx)


@pytest.mark.timeout(BOUND + 150)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_story_settles_and_arrives_once(
    tmp_path: Path, places: Places, database: str, request: pytest.FixtureRequest
) -> None:
    size = EVERYWHERE if request.config.getoption("everywhere") else USUAL
    url = request.getfixturevalue("empty_postgres_url") if database == "postgresql" else ""
    env = {
        **QUICK,
        "STORY_API_URL": places.emulator.url,
        "STORY_API_KEY": places.emulator.key,
        "STORYRELAY_CIRCUIT_TRIES": "1000",
        **({"DATABASE_URL": url} if url else {}),
    }
    with running(tmp_path / "home", places.toml, env) as machine:
        started = time.monotonic()
        ids = submit_all(machine, size.stories)
        havoc = Havoc(machine, places, size)
        relay = machine.relay()

        def settled() -> bool:
            with relay.ledger.read() as tx:
                counts = stories.counts(tx)
            assert not counts.get(StoryState.GIVEN_UP), machine.log[-5000:]
            return counts.get(StoryState.SETTLED, 0) >= size.stories

        next_blow = time.monotonic() + 1.0

        def goes_on() -> bool:
            nonlocal next_blow
            if not havoc.over and time.monotonic() >= next_blow:
                havoc.blow()
                next_blow = time.monotonic() + 1.5
            return settled() and havoc.over

        await_that(goes_on, "all settled", BOUND, every=0.2, now=lambda: (states(machine), havoc.done))
        seconds = time.monotonic() - started
    verify(machine, places, ids)
    report(places, havoc, seconds, database)


def verify(machine: Machine, places: Places, ids: list[str]) -> None:
    per_story: dict[str | None, set[str]] = {}
    for delivery in places.sink.deliveries:
        assert delivery.verified
        per_story.setdefault(delivery.story_id, set()).add(delivery.id)
    assert sorted(per_story, key=str) == sorted(ids)
    assert {len(message_ids) for message_ids in per_story.values()} == {1}, (
        "one message a story, repeats by one id"
    )
    published = machine.home / "published"
    assert sorted(folder.name for folder in published.iterdir() if not folder.name.startswith(".")) == sorted(
        ids
    )
    for story_id in ids:
        assert (published / story_id / "story.json").exists()
        assert sorted(path.name for path in (published / story_id).iterdir()) == [
            "captions.vtt",
            "poster.jpg",
            "story.json",
            "video.mp4",
        ]


def report(places: Places, havoc: Havoc, seconds: float, database: str) -> None:
    """What is at least once is counted, not hidden."""
    slack = len(places.slack.messages) - havoc.size.stories
    mails = Counter(mail.message["Message-ID"] for mail in places.mailbox.messages)
    webhooks = len(places.sink.deliveries) - havoc.size.stories
    assert len(mails) == havoc.size.stories
    print(  # noqa: T201  the count is a result of the test, shown by -rP
        f"\n{database}: {havoc.size.stories} stories in {seconds:.1f} s, {havoc.done['kill']} workers killed, "
        f"{havoc.done['flush']} queues flushed; repeats: Slack {slack}, e-mail {mails.total() - havoc.size.stories} "
        f"(same Message-ID), webhook {webhooks} (same webhook-id)"
    )
    assert slack >= 0
