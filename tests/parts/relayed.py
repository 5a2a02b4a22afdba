"""A relay whose queue is a list and whose clock is moved by hand: steps run here, one after the other."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from rq import Worker

from handlers.step_machine import StepMachine
from handlers.worker import HANDLERS
from service.configuration import load_configuration
from service.dispatching import Dispatcher
from service.domain.states import StepKind, StepState
from service.job_queue import JobQueue, QueueDown
from service.ledger import Ledger, reports, stories
from service.ledger.migrating import current, migrate
from service.ledger.reports import AttemptRow, StepRow
from service.ledger.stories import StoryRow
from service.ledger.tables import steps as table
from service.ledger.telling_tables import tellings
from service.media_url import MediaUrls
from service.reconciliation import Reconciliation
from service.settings import load_settings
from service.submission import Submission
from service.webhook_url import WebhookUrls
from service.wiring import Relay

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "the-secret-key-of-the-tests"


class FakeQueue(JobQueue):
    """A queue with visible jobs; `down` has it refuse."""

    def __init__(self) -> None:
        self.jobs: list[int] = []
        self.tests: list[int] = []
        self.down = False
        self.refused = 0
        self.arrived = threading.Event()  # the web dispatches from a thread of its own

    def enqueue(self, steps: Iterable[tuple[int, StepKind]]) -> None:
        if self.down:
            self.refused += 1
            raise QueueDown("down")
        self.jobs += [step for step, _ in steps]
        self.arrived.set()

    def enqueue_test(self, test: int) -> None:
        if self.down:
            raise QueueDown("down")
        self.tests.append(test)

    def depth(self, kind: StepKind) -> int:
        return 0 if self.down else len(self.jobs)

    def workers(self, kind: StepKind) -> list[Worker]:
        if self.down:
            raise QueueDown("down")
        return []


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def move(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class World:
    """Everything in one process."""

    relay: Relay
    queue: FakeQueue
    clock: FakeClock
    home: Path
    ran: list[int] = field(default_factory=list)

    @property
    def submission(self) -> Submission:
        relay = self.relay
        return Submission(relay.ledger, relay.settings, relay.webhook_urls, relay.story_api(), relay.now)

    def track(self, story_id: str, route: str | None = None) -> StoryRow:
        return self.submission.track(story_id, route=route)

    def run(self) -> None:
        """Runs what is due now, and what follows from it, until nothing is."""
        self.relay.dispatcher.sweep()
        while self.queue.jobs:
            step = self.queue.jobs.pop(0)
            self.ran.append(step)
            StepMachine(self.relay, HANDLERS).run(step)

    def run_for(self, seconds: float, step: float = 1) -> None:
        """Lets time pass, running what gets due."""
        for _ in range(int(seconds / step)):
            self.clock.move(step)
            self.reconcile()
            self.run()

    def reconcile(self) -> None:
        relay = self.relay
        Reconciliation(relay.ledger, relay.settings, relay.configuration, relay.now).run()

    def story(self, story_id: str) -> StoryRow:
        with self.relay.ledger.read() as tx:
            row = stories.find(tx, story_id)
        assert row is not None
        return row

    def steps(self, story_id: str) -> dict[str, StepRow]:
        """The story's steps by `kind` or `kind/destination` of the newest revision."""
        with self.relay.ledger.read() as tx:
            rows = reports.steps_of(tx, self.story(story_id).id)
        return {f"{row.kind}/{row.destination}".rstrip("/"): row for row in rows}

    def people_hear(self, state: StepState = StepState.DONE) -> None:
        """As if all that waits to be told had been told, or tried in vain."""
        waiting = table.c.kind == StepKind.NOTIFY, table.c.state.in_(("pending", "queued"))
        with self.relay.ledger.write() as tx:
            tx.execute(sa.update(table).where(*waiting).values(state=state, next_at=None))
            tx.execute(sa.update(tellings).values(frozen_at=self.clock()))

    def attempts(self, story_id: str) -> list[AttemptRow]:
        with self.relay.ledger.read() as tx:
            return reports.attempts_of(tx, self.story(story_id).id)


def make_world(home: Path, url: str, toml: str, env: dict[str, str]) -> World:
    """A relay over `url`'s ledger with this configuration."""
    (home / "storyrelay.toml").write_text(toml)
    settings = load_settings(
        {
            "STORYRELAY_HOME": str(home),
            "DATABASE_URL": url,
            "SECRET_KEYS": KEY,
            "PUBLIC_URL": "https://relay.example",
            "STORYRELAY_RETRY_JITTER": "0",
            **env,
        }
    )
    configuration = load_configuration(settings, env)
    ledger, queue, clock = Ledger(settings.database_url), FakeQueue(), FakeClock()
    if current(ledger) is None:
        migrate(ledger)
    relay = Relay(
        settings=settings,
        configuration=configuration,
        ledger=ledger,
        queue=queue,
        dispatcher=Dispatcher(ledger, queue, settings, configuration, clock),
        webhook_urls=WebhookUrls(
            settings.public_url, (KEY,), 30, {route.name: 1 for route in configuration.routes}
        ),
        media_urls=MediaUrls(settings.public_url, (KEY,)),
        now=clock,
    )
    return World(relay, queue, clock, home)
