"""`prune`: deletes by hand what the scheduler deletes once a day."""

import click

from service.cli.output import counted, note, show, show_json, table
from service.cli.session import open_session
from service.pruning import KINDS, kept_days

_MEANT = {
    "bodies": "bodies of webhooks",
    "snapshots": "last answers of the Story API",
    "videos": "stories whose videos go",
    "stories": "whole stories",
    "receipts": "receipts",
    "attempts": "attempts",
    "send_tests": "tests that were sent",
    "bulk_replays": "replays of many stories",
    "notices": "notices",
    "troubles": "troubles that are over",
    "audit": "lines of the audit log",
}


@click.command(epilog="\b\nstoryrelay prune --dry-run")
@click.option("--dry-run", is_flag=True, help="Count only.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def prune(dry_run: bool, as_json: bool) -> None:
    """Delete what is older than the settings keep it, as the scheduler does once a day.

    Each kind has an age of its own (STORYRELAY_KEEP_…_DAYS); `off` keeps it for ever. Nothing that is still to be
    done is touched.
    """
    relay = open_session()
    found = relay.pruning.run(dry=dry_run)
    days = {kind: kept_days(relay.settings, kind) for kind in KINDS}
    if as_json:
        show_json({"dry_run": dry_run, "pruned": found, "kept_days": days})
    else:
        kept = {kind: "for ever" if age is None else f"{age:g} days" for kind, age in days.items()}
        rows = [(_MEANT[kind], kept[kind], str(found[kind])) for kind in KINDS]
        show(table(("what", "kept", "to go" if dry_run else "gone"), rows))
    note(f"{counted(sum(found.values()), 'thing')} {'would go' if dry_run else 'gone'}")
