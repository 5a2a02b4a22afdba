from datetime import UTC, datetime

from service.accounts import Accounts
from service.domain.people import Role

PASSWORD = "correct horse battery\n"


def people(home) -> list[tuple[str, str]]:
    return [(each["name"], each["role"]) for each in home.json("user", "list")]


def failed(home, code: int, *words: str, stdin: str = "") -> str:
    result = home.run(*words, stdin=stdin)
    assert result.exit_code == code, result.output
    return result.stderr


def test_accounts_are_made_changed_and_removed(home):
    home.done("user", "add", "ada", "--role", "admin", "--password-stdin", stdin=PASSWORD)
    home.done("user", "add", "bo", "--password-stdin", stdin=PASSWORD)
    assert people(home) == [("ada", "admin"), ("bo", "viewer")]
    home.done("user", "role", "bo", "operator")
    home.done("user", "password", "bo", "--password-stdin", stdin="another password\n")
    assert people(home) == [("ada", "admin"), ("bo", "operator")]
    assert (
        Accounts(home.ledger, lambda: datetime.now(UTC)).sign_in("bo", "another password", "").role
        == Role.OPERATOR
    )
    home.done("user", "remove", "bo")
    assert people(home) == [("ada", "admin")]
    assert "ada" in home.done("user", "list").stdout


def test_a_password_is_asked_for_twice_and_not_shown(home):
    told = home.done("user", "add", "ada", stdin=PASSWORD * 2)
    assert "correct horse" not in told.output
    assert people(home) == [("ada", "viewer")]


def test_what_can_not_be_done_is_told(home):
    home.done("user", "add", "ada", "--role", "admin", "--password-stdin", stdin=PASSWORD)
    assert "already" in failed(home, 1, "user", "add", "Ada", "--password-stdin", stdin=PASSWORD)
    assert "last admin" in failed(home, 1, "user", "remove", "ada")
    assert "no account bo" in failed(home, 1, "user", "role", "bo", "viewer")
    assert "12 characters" in failed(home, 2, "user", "add", "bo", "--password-stdin", stdin="short\n")
    assert "a name has" in failed(home, 2, "user", "add", "b o", "--password-stdin", stdin=PASSWORD)
    assert "there is an account" in failed(home, 1, "user", "link")


def test_the_link_for_the_first_account_stands_alone_on_its_line(home):
    url = home.done("user", "link").stdout
    assert url.startswith("http://127.0.0.1:1/setup/")
    assert url.count("\n") == 1
