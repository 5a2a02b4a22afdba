"""A home of the test's own with a migrated ledger, the commands run in it, and stories in any state."""

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result

from service.cli.program import storyrelay
from service.domain.states import Origin, StepKind, StepState, StoryState
from service.domain.steps import ClaimedStep, Lane
from service.emulator import EmulatorOptions, EmulatorServer
from service.ledger import Ledger, steps, stories
from service.ledger.stories import NewStory, StoryRow, VideoRow
from service.ledger.tables import steps as step_table
from service.settings import Settings, variable

KEYS = "the-secret-key-of-the-tests"
NOW = datetime.now(UTC)
CONFIGURATION = """
[outbound]
allow = ["127.0.0.0/8"]

[destinations.shelf]
connector = "archive"
path = "published"

[destinations.attic]
connector = "archive"
path = "attic"

[[routes]]
name = "all"
destinations = ["shelf"]

[[routes]]
name = "both"
when = { labels = { team = "brand" } }
destinations = ["shelf", "attic"]

[notices]
destinations = ["attic"]
"""


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A command sets up this process's log; the next test must not write to a stream that is closed."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorServer]:
    options = EmulatorOptions(
        story_seconds=0, short_side=90, webhook_pauses=(), films=tmp_path_factory.mktemp("films")
    )
    with EmulatorServer(options) as server:
        yield server


@dataclass
class Home:
    """Runs commands as a person in this folder would; no queue runs."""

    path: Path
    env: dict[str, str | None]
    ledger: Ledger
    runner: CliRunner = field(default_factory=CliRunner)

    def run(self, *words: str, stdin: str | bytes | None = None, **env: str) -> Result:
        """Runs a command; an error that is not told to people is a mistake of ours and fails the test."""
        result = self.runner.invoke(storyrelay, words, input=stdin, env={**self.env, **env})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def done(self, *words: str, stdin: str | bytes | None = None, **env: str) -> Result:
        """As `run`, for what has to succeed."""
        result = self.run(*words, stdin=stdin, **env)
        assert result.exit_code == 0, result.output
        return result

    def json(self, *words: str, **env: str) -> Any:
        """What a command prints for programs: all of its standard output."""
        return json.loads(self.done(*words, "--json", **env).stdout)

    def story(self, key: int) -> StoryRow:
        with self.ledger.read() as tx:
            row = stories.read(tx, key)
        assert row is not None
        return row

    def steps(self, key: int) -> dict[str, Any]:
        """The newest step of each lane."""
        with self.ledger.read() as tx:
            rows = tx.execute(step_table.select().where(step_table.c.story == key).order_by(step_table.c.id))
            return {str(Lane(StepKind(row.kind), row.destination)): row for row in rows}


@pytest.fixture
def bare_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """The environment of a home where nothing was set up; what this machine has set does not count."""
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)
    return {"STORYRELAY_HOME": str(tmp_path), "NO_COLOR": "1", "COLUMNS": "120"}


@pytest.fixture
def bare(bare_env: dict[str, str | None], tmp_path: Path) -> Home:
    """A home before `migrate` and without keys."""
    ledger = Ledger(f"sqlite:///{tmp_path}/var/ledger.sqlite3")
    (tmp_path / "var").rmdir()
    return Home(tmp_path, bare_env, ledger)


@pytest.fixture
def home(bare: Home, migrated_sqlite: Path) -> Iterator[Home]:
    """A home with a ledger, keys, destinations and routes; the Story API can't be reached."""
    (bare.path / "var").mkdir(exist_ok=True)
    shutil.copyfile(migrated_sqlite, bare.path / "var" / "ledger.sqlite3")
    (bare.path / "storyrelay.toml").write_text(CONFIGURATION)
    bare.env |= {
        "SECRET_KEYS": KEYS,
        "STORY_API_KEY": "emulator-key",
        "STORY_API_URL": "http://127.0.0.1:1",
        "PUBLIC_URL": "http://127.0.0.1:1",
    }
    yield bare
    bare.ledger.close()


@pytest.fixture
def online(home: Home, emulator: EmulatorServer) -> Home:
    """A home with the emulator as the Story API."""
    home.env |= {"STORY_API_URL": emulator.url, "STORY_API_KEY": emulator.key}
    return home


@dataclass
class Book:
    """Writes stories into the ledger as the service would have left them."""

    ledger: Ledger

    def story(self, name: str, state: StoryState = StoryState.OPEN, **values: Any) -> int:
        given = {"story_id": name} | values
        now = given.pop("created_at", NOW - timedelta(minutes=10))
        fields = {key: given.pop(key) for key in list(given) if key in NewStory.__dataclass_fields__}
        with self.ledger.write() as tx:
            origin = fields.pop("origin", Origin.TRACKED)
            key = stories.add(
                tx, NewStory(submission_id=f"sub-{name}", origin=origin, state=state, **fields), now
            )
            assert key is not None
            if given:
                stories.change(tx, key, now, **given)
        return key

    def settled(self, name: str, destinations: Mapping[str, StepState], **values: Any) -> int:
        """A story with a video that was delivered, or not, to these."""
        key = self.story(name, StoryState.SETTLED, revision=1, settled_at=NOW, finished_at=NOW, **values)
        self.video(key)
        self.step(key, StepKind.FETCH)
        self.step(key, StepKind.DOWNLOAD)
        for destination, state in destinations.items():
            begun = NOW if state in (StepState.DONE, StepState.DEAD) else None
            self.step(key, StepKind.DELIVER, destination, state, begun_at=begun)
        return key

    def video(self, key: int, revision: int = 1) -> None:
        video = VideoRow(
            key, revision, f"v/r{revision}", "ab" * 32, 1234567, 15.0, 640, 360, "h264", "aac", True, False
        )
        with self.ledger.write() as tx:
            stories.add_video(tx, video, NOW)

    def step(
        self,
        key: int,
        kind: StepKind,
        destination: str = "",
        state: StepState = StepState.DONE,
        revision: int = 1,
        **values: Any,
    ) -> int:
        ended = NOW if state in (StepState.DONE, StepState.DEAD, StepState.CANCELLED) else None
        with self.ledger.write() as tx:
            steps.add(tx, [steps.NewStep(Lane(kind, destination), key, revision, "all")], NOW)
            where = (
                step_table.c.story == key,
                step_table.c.kind == kind,
                step_table.c.destination == destination,
                step_table.c.revision == revision,
            )
            tx.execute(step_table.update().where(*where).values(state=state, ended_at=ended, **values))
            return int(tx.execute(step_table.select().where(*where)).one().id)

    def attempt(self, step: int) -> ClaimedStep:
        """A worker takes the step."""
        with self.ledger.write() as tx:
            tx.execute(step_table.update().where(step_table.c.id == step).values(state=StepState.QUEUED))
            claimed = steps.claim(tx, step, NOW, 60)
        assert claimed is not None
        return claimed


@pytest.fixture
def book(home: Home) -> Book:
    return Book(home.ledger)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def keys() -> str:
    return KEYS
