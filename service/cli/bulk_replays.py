"""`replay --from …`: many stories at once, looked at first and then worked off by the scheduler."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from service.bulk_dry_run import DryRun, Example
from service.bulk_replay_json import bulk_json, dry_run_json
from service.bulk_replaying import BulkReplaying, Unfit
from service.cli.output import facts, moment, note, plain, show, show_json, table
from service.cli.times import Moment
from service.domain.bulk_replays import Choice, Clock, Wanted, usual_clock
from service.domain.people import SHELL
from service.wiring import Relay


@dataclass(frozen=True)
class Window:
    """What the command line says of the stories to choose; None where it says nothing."""

    since: datetime | None
    until: datetime | None
    by: str | None
    state: str | None
    route: str | None
    dry_run: bool

    @property
    def is_given(self) -> bool:
        """Whether any option that is about many stories was given."""
        return self.dry_run or any((self.since, self.until, self.by, self.state, self.route))

    def choice(self, destinations: tuple[str, ...], now: datetime) -> Choice:
        """The choice that is meant. Raises UsageError."""
        if self.since is None or self.state is None:
            raise click.UsageError("many stories are replayed by --from and --state; one story by its ID")
        if len(destinations) > 1:
            raise click.UsageError("many stories are replayed to one --destination, or to all")
        try:
            return Choice(
                wanted=Wanted(self.state),
                since=self.since,
                until=self.until or now,
                by=Clock(self.by) if self.by else usual_clock(Wanted(self.state)),
                route=self.route,
                destination=destinations[0] if destinations else None,
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error


def window_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose many stories."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--from", "since", type=Moment(), metavar="TIME", help="Many stories: from this time on, or 24h."
    ),
    click.option(
        "--to", "until", type=Moment(), metavar="TIME", help="Many stories: until then; else until now."
    ),
    click.option(
        "--by",
        type=click.Choice([clock.value for clock in Clock]),
        help="Which time counts; else finished, or created where none did.",
    ),
    click.option(
        "--state",
        type=click.Choice([wanted.value for wanted in Wanted]),
        help="Many stories: those in this state; dead: with a delivery that was given up.",
    ),
    click.option("--route", metavar="NAME", help="Many stories: those that came by this route."),
    click.option("--dry-run", is_flag=True, help="Many stories: say what would be done, and do nothing."),
)


def replay_many(relay: Relay, window: Window, destinations: tuple[str, ...], *, as_json: bool) -> None:
    """Does what the command line says of many stories."""
    replaying = BulkReplaying(relay.ledger, relay.settings, relay.configuration, relay.now)
    choice = window.choice(destinations, relay.now())
    try:
        if window.dry_run:
            _show_dry(replaying.dry_run(choice), as_json=as_json)
            return
        made = replaying.start(choice, SHELL)
    except Unfit as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        show_json(bulk_json(made))
        return
    show(facts([("bulk replay", str(made.id)), ("stories", made.chosen)]))
    note("The scheduler works it off, a few at a time; the dashboard shows how far it is, and can cancel it")


def _show_dry(run: DryRun, *, as_json: bool) -> None:
    if as_json:
        show_json(dry_run_json(run))
        return
    cells = [(plain(each.story.name), moment(each.story.finished_at), *_ways(each)) for each in run.examples]
    if cells:
        show(table(("story", "finished", "now to", "then to"), cells))
    left_out = "".join(f"\n  {count:,} left out: {why}" for why, count in run.skipped.items())
    differ = f"\n  {run.differ:,} go elsewhere than then, by today's routes" if run.differ else ""
    of = "" if run.exact and run.looked_at == run.total else f" (looked at: the first {run.looked_at:,})"
    note(f"{run.chosen} stories{of}\n  {run.replayed:,} would be replayed{left_out}{differ}")


def _ways(each: Example) -> tuple[str, str]:
    found = each.plan
    now = found.why_not or ", ".join(found.targets) or "fetched or downloaded again"
    return now, ", ".join(found.then)
