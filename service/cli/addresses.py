"""`webhook-url`: the address that other programs put into their own requests."""

from ipaddress import ip_address
from urllib.parse import urlsplit

import click

from service.cli.output import note, show_json
from service.cli.session import known_route, quiet_log
from service.wiring import open_relay


@click.command("webhook-url")
@click.option("--route", required=True, help="The route that its stories take.")
@click.option("--json", "as_json", is_flag=True, help='Print {"url": …}.')
def webhook_url(route: str, as_json: bool) -> None:
    """Print a route's webhook URL, alone on its line.

    Stories that are submitted with it take this route. It stays the same until the route's `token_version` is
    raised, which revokes it. Whoever has it can send webhooks: keep it as a secret.
    """
    relay = open_relay(serves=False)
    quiet_log(relay.settings)
    known_route(relay, route)
    url = relay.webhook_urls.for_route(route)
    if as_json:
        show_json({"url": url})
    else:
        click.echo(url)
    if is_loopback(url):
        note(
            f"note: {relay.settings.public_url} is this machine alone; set PUBLIC_URL to what others can reach"
        )


def is_loopback(url: str) -> bool:
    """Whether the address leads to this machine itself."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
