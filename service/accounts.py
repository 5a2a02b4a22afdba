"""Accounts of the dashboard: who may come in, what is tried too often, and the first one of all."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from service.domain.people import Person, Role, check_account_name, check_password
from service.ledger import Ledger, people
from service.ledger.people import SIGN_IN_REFUSED, Account, Deed

WINDOW = timedelta(minutes=15)
TRIES = 5
TRIES_AN_ADDRESS = 30
TRIES_A_NAME = 100
"""Refused sign-ins within WINDOW after which one has to wait: for a name from one address, from an address whatever
the name, for a name from anywhere. The last is high, or anybody could keep the owner of a name out."""

_LIMITS = (TRIES, TRIES_A_NAME, TRIES_AN_ADDRESS)

_HASHER = PasswordHasher()
"""argon2id with the parameters of RFC 9106's low-memory choice: 64 MiB, 3 passes, 4 lanes."""

_ROOM = threading.BoundedSemaphore(2)
"""Hashes at once in this process: each takes 64 MiB, and anybody may ask for one."""

_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$" + "A" * 22 + "$" + "A" * 43
"""What no password hashes to, at the cost of every other one, so that an unknown name takes as long as a known
one. Written down, for to hash something would cost each program a quarter of a second when it starts."""


_LINE = threading.BoundedSemaphore(6)
"""Who hashes or waits for that: whoever comes beyond has to come again, so that webhooks find a free thread."""


class Crowded(Exception):
    """Others are just signing in; another try makes sense in some seconds."""

    AGAIN = 3
    """So many."""

    def __init__(self) -> None:
        super().__init__("many people are signing in at this moment; try again in a few seconds")


class Refused(Exception):
    """The name or the password is wrong; which of them is not said."""


class TooMany(Exception):
    """Too many refused tries; the message says how long to wait."""


class NotDone(Exception):
    """The change can't be made; the message says why."""


@dataclass(frozen=True)
class Accounts:
    """One transaction a change; each leaves a line in the audit log. `who` is the account that does it, or "shell"."""

    ledger: Ledger
    now: Callable[[], datetime]

    def sign_in(self, name: str, password: str, remote: str) -> Person:
        """The person, when the password is right. Raises Refused, TooMany and Crowded."""
        about, now = name.casefold()[:64], self.now()
        with _turn():  # looked up within it, or many guesses at once would pass before the first is counted
            with self.ledger.read() as tx:
                tries = people.refusals(tx, about, remote, now - WINDOW)
                found = people.find(tx, about)
            if any(done >= most for done, most in zip(tries, _LIMITS, strict=True)):
                minutes = round(WINDOW.total_seconds() / 60)
                raise TooMany(f"too many sign-ins were refused; try again in {minutes} minutes")
            person, kept = found if found is not None else (None, _NOBODY)
            right = _is_right(kept, password)
        with self.ledger.write() as tx:
            if person is None or not right:
                people.note(tx, Deed(now, "", SIGN_IN_REFUSED, about, remote=remote))
            else:
                weak = _HASHER.check_needs_rehash(kept)
                people.signed_in(tx, person.id, now, _HASHER.hash(password) if weak else None)
                people.note(tx, Deed(now, person.name, "sign_in", remote=remote))
        if person is None or not right:
            raise Refused
        return person

    def current(self, key: int, epoch: int) -> Person | None:
        """The person of a session; None when it was ended, or the account is gone."""
        with self.ledger.read() as tx:
            person = people.read(tx, key)
        return person if person is not None and person.epoch == epoch else None

    def is_empty(self) -> bool:
        """Whether nobody has an account yet."""
        with self.ledger.read() as tx:
            return not people.any_there(tx)

    def add_first(self, name: str, password: str, remote: str) -> Person:
        """Makes the first account, an admin's. Raises ValueError and NotDone."""
        check_account_name(name)
        hashed = _hash(check_password(password))
        now = self.now()
        with self.ledger.write() as tx:
            person = people.add_first(tx, name, hashed, now)
            if person is None:
                raise NotDone("there is an account already: ask its owner for one of yours")
            people.note(tx, Deed(now, name, "first_account", name, remote=remote))
        return person

    def add(self, name: str, role: Role, password: str, who: str, remote: str = "") -> Person:
        """Makes an account. Raises ValueError and NotDone."""
        check_account_name(name)
        hashed = _hash(check_password(password))
        now = self.now()
        with self.ledger.write() as tx:
            person = people.add(tx, name, role, hashed, now)
            if person is None:
                raise NotDone(f"there is an account {name} already")
            people.note(tx, Deed(now, who, "account_added", name, str(role), remote))
        return person

    def set_role(self, name: str, role: Role, who: str, remote: str = "") -> None:
        """Gives an account another role, and ends its sessions. Raises NotDone."""
        with self.ledger.write() as tx:
            person = _found(people.find(tx, name), name)
            if person.role == Role.ADMIN and role != Role.ADMIN and people.admins(tx) < 2:
                raise NotDone(f"{person.name} is the last admin: make another one first")
            people.change(tx, person.id, role=role)
            people.note(tx, Deed(self.now(), who, "role_changed", person.name, str(role), remote))

    def set_password(self, name: str, password: str, who: str, remote: str = "") -> None:
        """Sets a password, and ends the account's sessions. Raises ValueError and NotDone."""
        hashed = _hash(check_password(password))
        with self.ledger.write() as tx:
            person = _found(people.find(tx, name), name)
            people.change(tx, person.id, password_hash=hashed)
            people.note(tx, Deed(self.now(), who, "password_changed", person.name, remote=remote))

    def set_own_password(self, person: Person, old: str, new: str, remote: str) -> None:
        """Changes one's own password, for whoever knows the one before. Raises ValueError and NotDone."""
        try:
            self.sign_in(person.name, old, remote)  # whose limit holds here, too
        except Refused:
            raise NotDone("the present password is not right") from None
        except TooMany as error:
            raise NotDone(str(error)) from None
        self.set_password(person.name, new, person.name, remote)

    def end_sessions(self, name: str, who: str, remote: str = "") -> None:
        """Signs an account out everywhere. Raises NotDone."""
        with self.ledger.write() as tx:
            person = _found(people.find(tx, name), name)
            people.change(tx, person.id)
            people.note(tx, Deed(self.now(), who, "sessions_ended", person.name, remote=remote))

    def remove(self, name: str, who: str, remote: str = "") -> None:
        """Deletes an account. Raises NotDone."""
        with self.ledger.write() as tx:
            person = _found(people.find(tx, name), name)
            if person.role == Role.ADMIN and people.admins(tx) < 2:
                raise NotDone(f"{person.name} is the last admin: make another one first")
            people.remove(tx, person.id)
            people.note(tx, Deed(self.now(), who, "account_removed", person.name, remote=remote))

    def all(self) -> list[Account]:
        """All accounts, by name."""
        with self.ledger.read() as tx:
            return people.accounts(tx)


def _found(account: tuple[Person, str] | None, name: str) -> Person:
    if account is None:
        raise NotDone(f"there is no account {name[:64]}")
    return account[0]


def _hash(password: str) -> str:
    with _turn():
        return _HASHER.hash(password)


@contextmanager
def _turn() -> Iterator[None]:
    if not _LINE.acquire(blocking=False):
        raise Crowded
    try:
        with _ROOM:
            yield
    finally:
        _LINE.release()


def _is_right(kept: str, password: str) -> bool:
    try:
        return _HASHER.verify(kept, password)
    except (VerifyMismatchError, InvalidHashError):
        return False
