"""`send-test`: tries one destination, and lets its deliveries pass again when that works."""

import click

from service.cli.output import facts, note, show, show_json
from service.cli.session import open_session, pass_on
from service.domain.delivery import Published
from service.domain.people import SHELL
from service.domain.steps import Lane
from service.send_testing import send_test as sent


@click.command("send-test")
@click.argument("destination", metavar="DESTINATION")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def send_test(destination: str, as_json: bool) -> None:
    """Send something harmless, marked as a test, to one destination.

    When that works, a destination that was paused or switched off gets its deliveries again.
    """
    relay = open_session()
    published, reopened = sent(relay, destination, SHELL)
    if as_json:
        show_json(_json(destination, published, reopened))
    else:
        seen = [("destination", destination), ("seen at", published.url or ""), ("remark", published.remark)]
        show(facts([*seen, ("result", "sent")]))
    if reopened:
        note(f"{destination} was paused; what waits for it is sent now")
        pass_on(relay, reopened)


def _json(destination: str, published: Published, reopened: list[Lane]) -> dict[str, object]:
    return {
        "destination": destination,
        "sent": True,
        "url": published.url,
        "remark": published.remark or None,
        "reopened": [lane.kind for lane in reopened],
    }
