"""`routes`: which way a story goes, and why not the others."""

import click
from rich.text import Text

from handlers.previewing import routes_taken
from handlers.sample import NAME
from service.cli.output import note, show, show_json, table, word
from service.cli.session import find_story, open_session
from service.route_choice import RouteTaken


@click.command(epilog="\b\nstoryrelay routes 3f9c\nstoryrelay routes sample")
@click.argument("story", metavar="STORY")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def routes(story: str, as_json: bool) -> None:
    """Tell which routes a story would take at this moment, and what keeps it from the others.

    STORY is a story's id, or a beginning of it, or `sample` for one that there is always.
    """
    relay = open_session(reads_ledger=story != NAME)
    found = routes_taken(relay, None if story == NAME else find_story(relay, story))
    if as_json:
        show_json([_json(each) for each in found])
        return
    show(table(("route", "taken", "destinations", "why not"), map(_cells, found)))
    if all(each.why_not for each in found):
        note("no route takes it: it would be downloaded and kept, but sent to nobody")


def _cells(each: RouteTaken) -> tuple[str | Text, ...]:
    taken = word("no") if each.why_not else word("yes")
    return each.route.name, taken, ", ".join(each.route.destinations), "; ".join(each.why_not)


def _json(each: RouteTaken) -> dict[str, object]:
    return {
        "route": each.route.name,
        "taken": not each.why_not,
        "destinations": list(each.route.destinations),
        "why_not": list(each.why_not),
    }
