from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from service.accounts import (
    TRIES,
    TRIES_A_NAME,
    TRIES_AN_ADDRESS,
    WINDOW,
    Accounts,
    NotDone,
    Refused,
    TooMany,
)
from service.domain.people import Role, check_account_name
from service.ledger import Ledger, people

PASSWORD = "correct horse battery"
HERE = "192.0.2.1"


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(ledger: Ledger, clock: Clock) -> Accounts:
    return Accounts(ledger, clock)


def actions(ledger: Ledger) -> list[tuple[str, str, str]]:
    with ledger.read() as tx:
        return [(deed.who, deed.action, deed.about) for _, deed in reversed(people.deeds(tx, 100))]


def test_the_first_account_is_an_admin_and_there_is_one_first(accounts: Accounts, ledger: Ledger) -> None:
    assert accounts.is_empty()
    first = accounts.add_first("Ada", PASSWORD, HERE)
    assert (first.role, accounts.is_empty()) == (Role.ADMIN, False)
    with pytest.raises(NotDone, match="already"):
        accounts.add_first("eve", PASSWORD, HERE)
    second = accounts.add("bo", Role.VIEWER, PASSWORD, "Ada")
    assert second.id != first.id
    assert actions(ledger) == [("Ada", "first_account", "Ada"), ("Ada", "account_added", "bo")]


def test_a_sign_in_needs_name_and_password(accounts: Accounts) -> None:
    accounts.add_first("Ada", PASSWORD, HERE)
    assert accounts.sign_in("aDA", PASSWORD, HERE).name == "Ada"
    for name, password in (("Ada", PASSWORD + "x"), ("Bob", PASSWORD), ("", ""), ("Ada", "")):
        with pytest.raises(Refused):
            accounts.sign_in(name, password, HERE)
    (account,) = accounts.all()
    assert account.seen_at is not None


def test_the_password_itself_is_kept_nowhere(accounts: Accounts, ledger: Ledger) -> None:
    accounts.add_first("Ada", PASSWORD, HERE)
    with ledger.read() as tx:
        found = people.find(tx, "Ada")
    assert found is not None
    assert found[1].startswith("$argon2id$")
    assert PASSWORD not in found[1]


def test_a_name_that_is_tried_too_often_has_to_wait(accounts: Accounts, clock: Clock) -> None:
    accounts.add_first("Ada", PASSWORD, HERE)
    for _ in range(TRIES):
        with pytest.raises(Refused):
            accounts.sign_in("Ada", "wrong password", HERE)
    with pytest.raises(TooMany, match="15 minutes"):
        accounts.sign_in("ada", PASSWORD, HERE)
    assert accounts.sign_in("ada", PASSWORD, "192.0.2.99"), "nobody keeps the owner out from elsewhere"
    clock.time += WINDOW + timedelta(seconds=1)
    assert accounts.sign_in("ada", PASSWORD, HERE)


def test_a_name_that_many_addresses_try_has_to_wait(accounts: Accounts, ledger: Ledger, clock: Clock) -> None:
    accounts.add_first("Ada", PASSWORD, HERE)
    with ledger.write() as tx:
        for number in range(TRIES_A_NAME):
            people.note(
                tx, people.Deed(clock(), "", people.SIGN_IN_REFUSED, "ada", remote=f"10.0.0.{number}")
            )
    with pytest.raises(TooMany):
        accounts.sign_in("Ada", PASSWORD, HERE)


def test_a_removed_accounts_session_is_not_the_next_accounts(accounts: Accounts) -> None:
    accounts.add_first("Ada", PASSWORD, HERE)
    gone = accounts.add("bo", Role.VIEWER, PASSWORD, "Ada")
    accounts.remove("bo", "Ada")
    accounts.add("carol", Role.ADMIN, PASSWORD, "Ada")
    assert accounts.current(gone.id, gone.epoch) is None


def test_an_address_that_tries_many_names_has_to_wait(
    accounts: Accounts, ledger: Ledger, clock: Clock
) -> None:
    accounts.add_first("Ada", PASSWORD, HERE)
    with ledger.write() as tx:
        for number in range(TRIES_AN_ADDRESS):
            people.note(tx, people.Deed(clock(), "", people.SIGN_IN_REFUSED, f"name{number}", remote=HERE))
    with pytest.raises(TooMany):
        accounts.sign_in("Ada", PASSWORD, HERE)
    assert accounts.sign_in("Ada", PASSWORD, "192.0.2.2")


def test_every_change_of_an_account_ends_its_sessions(accounts: Accounts) -> None:
    ada = accounts.add_first("Ada", PASSWORD, HERE)
    bo = accounts.add("bo", Role.VIEWER, PASSWORD, "Ada")
    assert accounts.current(bo.id, bo.epoch) == bo
    accounts.set_role("bo", Role.OPERATOR, "Ada")
    assert accounts.current(bo.id, bo.epoch) is None
    bo = accounts.sign_in("bo", PASSWORD, HERE)
    assert bo.role == Role.OPERATOR
    accounts.set_password("bo", PASSWORD + "!", "bo")
    assert accounts.current(bo.id, bo.epoch) is None
    bo = accounts.sign_in("bo", PASSWORD + "!", HERE)
    accounts.end_sessions("bo", "bo")
    assert accounts.current(bo.id, bo.epoch) is None
    accounts.remove("bo", "Ada")
    assert accounts.current(bo.id, bo.epoch + 1) is None
    assert accounts.current(ada.id, ada.epoch) == ada


def test_the_last_admin_stays(accounts: Accounts) -> None:
    accounts.add_first("Ada", PASSWORD, HERE)
    with pytest.raises(NotDone, match="last admin"):
        accounts.remove("Ada", "Ada")
    with pytest.raises(NotDone, match="last admin"):
        accounts.set_role("Ada", Role.VIEWER, "Ada")
    accounts.add("bo", Role.ADMIN, PASSWORD, "Ada")
    accounts.remove("Ada", "bo")


@pytest.mark.parametrize("password", ["short", "x" * 11, "x" * 1001])
def test_a_password_has_a_sane_length(accounts: Accounts, password: str) -> None:
    with pytest.raises(ValueError, match="a password has"):
        accounts.add_first("Ada", password, HERE)
    assert accounts.is_empty()


@pytest.mark.parametrize("name", ["", " ada", "a b", "ä", "<b>", "a" * 65, "-a", "a\nb"])
def test_a_name_is_plain(name: str) -> None:
    with pytest.raises(ValueError, match="a name has"):
        check_account_name(name)


def test_names_that_are_taken_or_unknown_are_told(accounts: Accounts) -> None:
    accounts.add_first("Ada", PASSWORD, HERE)
    with pytest.raises(NotDone, match="already"):
        accounts.add("ADA", Role.VIEWER, PASSWORD, "Ada")
    with pytest.raises(NotDone, match="no account bob"):
        accounts.remove("bob", "Ada")


def test_roles_are_in_order() -> None:
    assert Role.ADMIN.may(Role.VIEWER)
    assert Role.OPERATOR.may(Role.OPERATOR)
    assert not Role.VIEWER.may(Role.OPERATOR)


def test_passwords_are_hashed_as_rfc_9106_says_for_little_memory(
    real_hashing: tuple[PasswordHasher, str],
) -> None:
    real_hasher, nobody = real_hashing
    kept = real_hasher.hash(PASSWORD)
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert real_hasher.verify(kept, PASSWORD)
    assert not real_hasher.check_needs_rehash(nobody), "an unknown name takes as long as a known one"
    with pytest.raises(VerifyMismatchError):
        real_hasher.verify(nobody, PASSWORD)
