"""`reconcile`: one pass by hand of what the scheduler does all the time."""

import click

from service.cli.output import counted, note, plain, show, show_json, table
from service.cli.session import open_session, queue_note
from service.reconciliation import Reconciliation

_TOLD = {
    "polled": "silent: the Story API is asked",
    "given_up": "given up: silent for too long",
    "unconfirmed": "unconfirmed: its submission got no answer",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def reconcile(as_json: bool) -> None:
    """Look once for what webhooks missed, and pass on what is due."""
    relay = open_session()
    found = Reconciliation(relay.ledger, relay.settings, relay.configuration, relay.now).run()
    enqueued = relay.dispatcher.sweep()
    named = {"polled": found.polled, "given_up": found.given_up, "unconfirmed": found.unconfirmed}
    if as_json:
        show_json({**{name: list(names) for name, names in named.items()}, "enqueued": enqueued})
    elif any(named.values()):
        show(
            table(
                ("story", "found"),
                [(plain(each), _TOLD[name]) for name, all_ in named.items() for each in all_],
            )
        )
    found_in_all = sum(map(len, named.values()))
    stories = "1 story" if found_in_all == 1 else f"{found_in_all} stories"
    note(f"{stories} found, {counted(enqueued, 'step')} enqueued")
    queue_note(relay)
