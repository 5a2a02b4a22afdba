"""What nearly every command starts with: the relay, and the story or route that is meant."""

from pathlib import Path

import click
import sqlalchemy as sa

from service.cli.output import note, plain
from service.domain.states import StepKind
from service.domain.steps import Lane
from service.job_queue import QueueDown
from service.ledger import Ledger
from service.ledger.lookup import SHORTEST, named
from service.ledger.migrating import current, head
from service.ledger.stories import StoryRow
from service.observability import configure_logging
from service.problems import hint
from service.redaction import redact
from service.settings import Settings, load_settings
from service.wiring import Relay, open_relay

_MOST_NAMED = 10
_MIGRATE = "run `storyrelay migrate` (or `storyrelay up`)"


class NotMigrated(Exception):
    """The ledger has not the tables that this program works with; the message says what to do."""


class UnknownStory(LookupError):
    """No story, or more than one, is meant by what was typed."""


def open_session(*, reads_ledger: bool = True) -> Relay:
    """The relay for one command; its connections end with the command.

    Where the command reads nothing of the ledger, none has to be there: it gets an empty one in memory.
    Raises SettingsError, ConfigurationError, NotMigrated.
    """
    settings = load_settings()
    quiet_log(settings)
    if reads_ledger:
        # first: opening the ledger would make its folder wherever one happens to be
        check_ledger_file(settings)
    relay = open_relay(serves=False, reads_ledger=reads_ledger)
    context = click.get_current_context()
    context.call_on_close(relay.ledger.close)
    if reads_ledger:
        context.call_on_close(lambda: relay.meter.save(relay.ledger))  # called first: the other way round
    return relay


def quiet_log(settings: Settings) -> None:
    """Sends the log to stderr; without LOG_LEVEL only errors, for the command itself says what it does."""
    level = settings.log_level if "log_level" in settings.model_fields_set else "error"
    configure_logging(settings.log_format, level, "command")


def check_ledger(settings: Settings) -> None:
    """Raises NotMigrated unless the ledger's tables are those of this program, and LedgerDown kinds."""
    check_ledger_file(settings)
    behind = needs_migration(settings)
    if behind is not None:
        raise behind


def check_ledger_file(settings: Settings) -> None:
    """Raises NotMigrated where the ledger is a file that isn't there: looking must not make an empty one."""
    url = sa.make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        raise NotMigrated(f"there is no ledger yet ({url.database}): {_MIGRATE}")


def needs_migration(settings: Settings) -> NotMigrated | None:
    """What to say when the ledger's tables are missing or old, else None. Raises LedgerDown kinds."""
    ledger = Ledger(settings.database_url)
    try:
        revision = current(ledger)
    finally:
        ledger.close()
    if revision == head():
        return None
    if revision is not None and revision > head():
        return NotMigrated(f"a newer Storyrelay wrote the ledger (revision {revision}): run that one")
    return NotMigrated(f"the ledger is at revision {revision}, needed is {head()}: {_MIGRATE}")


def reason(error: Exception) -> str:
    """What the database said, in one line and without secrets."""
    said = str(getattr(error, "orig", None) or error).strip()
    return plain(redact(said.split("\n")[0]), 300)


def find_story(relay: Relay, name: str) -> StoryRow:
    """The story of that Story API id or submission id, or the only one that begins so.

    Raises UnknownStory, BadParameter for a beginning that is too short to mean one.
    """
    name = name.strip()
    with relay.ledger.read() as tx:
        found = named(tx, name, _MOST_NAMED) if name.isprintable() else []
    if len(found) == 1:
        return found[0]
    shown = plain(name, 80)
    if not found and len(name) < SHORTEST:
        raise click.BadParameter(f"no story has the id {shown!r}; give at least {SHORTEST} characters of one")
    if not found:
        raise UnknownStory(
            f"no story {shown!r} in the ledger; `storyrelay stories` lists them, "
            "`storyrelay track ID` adopts one that was submitted elsewhere"
        )
    names = "\n".join(
        f"  {plain(row.story_id or row.submission_id)}  {plain(row.title, 60)}" for row in found
    )
    raise UnknownStory(f"{shown!r} is the beginning of several stories; write more of it:\n{names}")


def known_route(relay: Relay, name: str | None) -> str | None:
    """The route's name when it is configured, or None as given. Raises BadParameter."""
    names = [route.name for route in relay.configuration.routes]
    if name is None or name in names:
        return name
    raise click.BadParameter(
        f"there is no route {plain(name, 80)!r} in {relay.settings.config_path}{hint(name, names)}; "
        f"there are {', '.join(names) or 'none'}",
        param_hint="--route",
    )


def pass_on(relay: Relay, lanes: list[Lane]) -> None:
    """Enqueues what is due in these lanes; without a queue it stays due in the ledger, and a note says so."""
    if not relay.dispatcher.dispatch(lanes):
        queue_note(relay)


def queue_note(relay: Relay) -> None:
    """Says on stderr that the queue is down, if it is."""
    try:
        relay.queue.depth(StepKind.FETCH)
    except QueueDown as error:
        note(
            f"note: {error}. Nothing is lost: what is due stands in the ledger, and the scheduler passes it on"
        )
