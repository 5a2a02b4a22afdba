"""`migrate` and `scheduler`: the processes that are no web server and no worker."""

import contextlib
import signal
import threading
from collections.abc import Callable

import click
from alembic.util import CommandError

from service import VERSION
from service.cli.session import check_ledger, quiet_log
from service.ledger import Ledger, LedgerDown
from service.ledger.migrating import migrate as bring_up
from service.observability import configure_logging, configure_sentry
from service.scheduling import Scheduler
from service.settings import load_settings
from service.wiring import open_relay


@click.command()
def migrate() -> None:
    """Bring the ledger up to date; as often as you like, and from several machines at once."""
    settings = load_settings()
    quiet_log(settings)
    ledger = Ledger(settings.database_url)
    try:
        before, after = bring_up(ledger)
    except CommandError as error:  # alembic's word for a revision that this program does not know
        raise click.ClickException(
            f"the ledger can't be migrated: {error}. Run the newest Storyrelay"
        ) from error
    finally:
        ledger.close()
    if before == after:
        click.echo(f"the ledger is up to date ({after})")
    else:
        click.echo(f"the ledger went from {before or 'nothing'} to {after}")


@click.command()
def scheduler() -> None:
    """Sweep and reconcile, until SIGTERM or Ctrl-C. Any number may run."""
    relay = open_relay()
    settings = relay.settings
    configure_logging(settings.log_format, settings.log_level, "scheduler")
    configure_sentry(settings.sentry_dsn, VERSION, "scheduler", settings.sentry_environment)
    with contextlib.suppress(*LedgerDown):  # the loop waits for it
        check_ledger(settings)
    stopped = threading.Event()
    stop: Callable[..., None] = lambda *_: stopped.set()  # noqa: E731  # a signal handler of one call
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    Scheduler(relay).run(stopped)
    relay.ledger.close()
