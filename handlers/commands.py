"""The commands that belong to the handlers; the command line finds them by entry point."""

import click

from handlers.worker import WorkerPool, process_relay, worker_counts
from service import VERSION, tracing
from service.domain.states import StepKind
from service.observability import configure_logging, configure_sentry


@click.command()
@click.option(
    "--queue",
    type=click.Choice([kind.value for kind in StepKind if kind.queue == kind]),
    help="Workers of this queue alone.",
)
def worker(queue: str | None) -> None:
    """Works on what is queued: a pool of processes for each queue."""
    relay = process_relay()
    settings = relay.settings
    configure_logging(settings.log_format, settings.log_level, "worker")
    configure_sentry(settings.sentry_dsn, VERSION, "worker", settings.sentry_environment)
    tracing.configure_tracing("worker", VERSION)
    only = StepKind(queue) if queue else None
    WorkerPool(settings, settings.redis_url or "", worker_counts(settings, only)).run()
