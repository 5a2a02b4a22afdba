"""`digest`: prints what the daily digest says, and sends nothing."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import click

from service.cli.output import plain, show, show_json
from service.cli.session import open_session
from service.digesting import look_back
from service.domain.digest import Day
from service.wiring import Relay


@click.command(epilog="\b\nstoryrelay digest --day 2026-11-22")
@click.option(
    "--day",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="Which day; yesterday if not given.",
)
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def digest(day: datetime | None, as_json: bool) -> None:
    """Tell what happened on a day, as the daily digest does; nothing is sent.

    A day is one by the clocks of `[notices.digest] timezone` in storyrelay.toml, or of UTC without it.
    """
    relay = open_session()
    zone = _zone(relay)
    wanted = day.date() if day is not None else relay.now().astimezone(zone).date() - timedelta(days=1)
    meant = Day(wanted, zone)
    numbers, title, text = look_back(relay, meant)
    if as_json:
        lasting = [{"title": name, "since": since.isoformat()} for name, since in numbers.troubles]
        told = asdict(numbers) | {"troubles": lasting}
        show_json({"day": str(wanted), "timezone": zone.key, "title": title, "text": text, "numbers": told})
    else:
        show(plain(title, 300), "", *(plain(line, 500) for line in text.split("\n")))


def _zone(relay: Relay) -> ZoneInfo:
    digest = relay.configuration.notices.digest
    return digest.zone if digest is not None else ZoneInfo(UTC.tzname(None) or "UTC")
