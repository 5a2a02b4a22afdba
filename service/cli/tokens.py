"""`token`: which programs may use the JSON API."""

from typing import Any

import click

from service.api_tokens import ApiTokens, NotDone
from service.cli.output import moment, note, plain, show, show_json, table
from service.cli.session import open_session
from service.cli.users import WHO, NotChanged
from service.domain.api_tokens import MARK, ApiToken, Scope
from service.story_json import iso


@click.group()
def token() -> None:
    """Tokens by which programs use the JSON API under /api/v1."""


@token.command("add", epilog="\b\nstoryrelay token add editorial --scope read --scope submit --days 90")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may do; repeatable.  [default: read]",
)
@click.option("--days", type=int, help="Good for so many days; without it until it is removed.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def add_token(name: str, scopes: tuple[str, ...], days: int | None, as_json: bool) -> None:
    """Make a token and print it: it is shown this once, and kept nowhere."""
    tokens = _tokens()
    wanted = [Scope(each) for each in scopes] or [Scope.READ]
    try:
        made = tokens.add(name, wanted, days, WHO)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    except NotDone as error:
        raise NotChanged(plain(str(error))) from error
    if as_json:
        show_json({**_json(made.token), "token": made.text})
        return
    click.echo(made.text)
    note(f"{name} may {', '.join(wanted)}. Keep the token now: it can't be shown again")


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def list_tokens(as_json: bool) -> None:
    """List the tokens, without their secrets."""
    found = _tokens().all()
    if as_json:
        show_json([_json(each) for each in found])
        return
    heads = ("name", "begins", "may", "made", "expires", "last used")
    show(table(heads, [_row(each) for each in found]))
    if not found:
        note("there is none yet: `storyrelay token add NAME --scope read`")


@token.command("remove")
@click.argument("name")
def remove_token(name: str) -> None:
    """Remove a token; the next call with it is refused."""
    try:
        _tokens().remove(name, WHO)
    except NotDone as error:
        raise NotChanged(plain(str(error))) from error
    note(f"the token {plain(name)} is removed")


def _tokens() -> ApiTokens:
    relay = open_session()
    return ApiTokens(relay.ledger, relay.now)


def _row(each: ApiToken) -> tuple[str, ...]:
    times = (moment(each.created_at), moment(each.expires_at) or "never", moment(each.used_at) or "never")
    return (plain(each.name), f"{MARK}{each.handle}…", " ".join(each.scopes), *times)


def _json(each: ApiToken) -> dict[str, Any]:
    return {
        "name": each.name,
        "begins": f"{MARK}{each.handle}",
        "scopes": list(each.scopes),
        "created_at": iso(each.created_at),
        "expires_at": iso(each.expires_at),
        "used_at": iso(each.used_at),
    }
