"""`withdraw`: takes a story back from where it was published."""

import click

from service.cli.output import note, plain, show, show_json, table
from service.cli.replays import check_destinations, destinations_option, set_going
from service.cli.session import find_story, open_session
from service.domain.people import SHELL
from service.story_json import story_json
from service.withdrawing import Undone, Withdrawing, Withdrawn

_TOLD = {
    Undone.DUE: "due: it is asked to let the story go",
    Undone.CANCELLED: "cancelled: it had not got the story yet, and will not",
    Undone.AFTER_THIS: "due as soon as the attempt ends that is publishing there just now",
    Undone.UNDER_WAY: "already being withdrawn; its next try is now",
    Undone.WITHDRAWN: "withdrawn already",
    Undone.ABSENT: "left out: the story never went there",
    Undone.NOT_CONFIGURED: "left out: it is no longer in storyrelay.toml",
}


@click.command(epilog="\b\nstoryrelay withdraw 3f9c --destination blog")
@click.argument("story", metavar="ID")
@destinations_option("Withdraw from this one only; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def withdraw(story: str, destinations: tuple[str, ...], as_json: bool) -> None:
    """Take a story back from where it was published.

    Each destination that has it, or each that is named, is asked to delete or unpublish it; a delivery that never
    reached its place is cancelled, and a story that is still on its way does not go there. A later video of the
    story does not go there either, until `replay` publishes it again.
    ID is the story's or the submission's, or a beginning of it that is the only one.
    """
    relay = open_session()
    check_destinations(relay, destinations)
    row = find_story(relay, story)
    withdrawing = Withdrawing(relay.ledger, relay.configuration, relay.now)
    withdrawn = withdrawing.withdraw(row.id, destinations, by=SHELL)
    set_going(relay, withdrawn.lanes)
    _show(withdrawn, as_json=as_json)
    if withdrawn.in_vain:
        click.get_current_context().exit(1)


def _show(withdrawn: Withdrawn, *, as_json: bool) -> None:
    row = withdrawn.story
    if as_json:
        actions = [{"destination": each.destination, "done": each.done} for each in withdrawn.actions]
        show_json({"story": story_json(row), "actions": actions})
        return
    show(table(("destination", "now"), [(each.destination, _TOLD[each.done]) for each in withdrawn.actions]))
    note(f"Story {plain(row.name)} is {row.state}: storyrelay show {plain(row.name)}")
