"""`user`: who may see the dashboard."""

import sys
from collections.abc import Callable

import click

from service.accounts import Accounts, NotDone
from service.cli.output import moment, note, plain, show, show_json, table, word
from service.cli.session import open_session
from service.domain.people import Role, check_account_name, check_password

WHO = "shell"
"""Who did it, in the audit log: whoever may run commands here."""

_ROLE = click.Choice([role.value for role in Role])
_STDIN = click.option("--password-stdin", is_flag=True, help="Read the password from stdin, one line.")


class NotChanged(click.ClickException):
    """Nothing was changed; the message says why."""


@click.group()
def user() -> None:
    """Accounts of the dashboard: viewers and operators see it, an admin makes accounts as well."""


@user.command("add")
@click.argument("name")
@click.option("--role", type=_ROLE, default=Role.VIEWER.value, show_default=True)
@_STDIN
def add_user(name: str, role: str, password_stdin: bool) -> None:
    """Make an account."""
    _right(check_account_name, name, "NAME")
    accounts = _accounts()
    password = _password(password_stdin)
    _change(lambda: accounts.add(name, Role(role), password, WHO))
    note(f"{name} has an account now, as {role}")


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def list_users(as_json: bool) -> None:
    """List the accounts."""
    found = _accounts().all()
    if as_json:
        show_json(
            [
                {
                    "name": account.person.name,
                    "role": account.person.role,
                    "created_at": account.created_at.isoformat(),
                    "seen_at": account.seen_at.isoformat() if account.seen_at else None,
                }
                for account in found
            ]
        )
        return
    rows = [
        (plain(each.person.name), word(each.person.role), moment(each.created_at), moment(each.seen_at))
        for each in found
    ]
    show(table(("name", "role", "made", "last sign-in"), rows))
    if not found:
        note(
            "there is none yet: `storyrelay user add NAME --role admin`, or open what `storyrelay user link` prints"
        )


@user.command("role")
@click.argument("name")
@click.argument("role", type=_ROLE)
def set_role(name: str, role: str) -> None:
    """Give an account another role; it has to sign in again."""
    accounts = _accounts()
    _change(lambda: accounts.set_role(name, Role(role), WHO))
    note(f"{plain(name)} has the role {role} now")


@user.command("password")
@click.argument("name")
@_STDIN
def set_password(name: str, password_stdin: bool) -> None:
    """Set an account's password; its sessions end."""
    accounts = _accounts()
    password = _password(password_stdin)
    _change(lambda: accounts.set_password(name, password, WHO))
    note(f"{plain(name)} has another password now")


@user.command("remove")
@click.argument("name")
def remove_user(name: str) -> None:
    """Remove an account."""
    accounts = _accounts()
    _change(lambda: accounts.remove(name, WHO))
    note(f"the account {plain(name)} is removed")


@user.command("link")
def setup_link() -> None:
    """Print the one-time address by which the first account is made."""
    relay = open_session()
    if not Accounts(relay.ledger, relay.now).is_empty():
        raise NotChanged("there is an account already; `storyrelay user add NAME` makes others")
    click.echo(relay.setup_urls.url())


def _accounts() -> Accounts:
    relay = open_session()
    return Accounts(relay.ledger, relay.now)


def _change(change: Callable[[], object]) -> None:
    try:
        change()
    except NotDone as error:
        raise NotChanged(plain(str(error))) from error


def _password(from_stdin: bool) -> str:
    if from_stdin:
        given = sys.stdin.readline().rstrip("\r\n")
    else:
        given = click.prompt("Password, of 12 characters or more", hide_input=True, confirmation_prompt=True)
    return _right(check_password, given, "the password")


def _right(check: Callable[[str], str], value: str, hint: str) -> str:
    try:
        return check(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=hint) from None
