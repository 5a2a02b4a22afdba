"""Accounts of the dashboard, and the audit log of what people did."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.people import Doer, Person, Role
from service.ledger.engine import insert
from service.ledger.people_tables import audit, people

SIGN_IN_REFUSED = "sign_in_refused"
STORY_DEEDS = (
    "submit",
    "track",
    "fetch",
    "replay",
    "withdraw",
    "cancel",
    "forget",
    "delete_at_api",
    "approve",
    "reject",
)
"""Actions whose line in the audit log is about a story, by the Story API's id or our submission's."""

LONGEST_DETAIL = 500


@dataclass(frozen=True)
class Account:
    """An account as its list shows it."""

    person: Person
    created_at: datetime
    seen_at: datetime | None


@dataclass(frozen=True)
class Deed:
    """A line of the audit log: who did what to whom, from which address."""

    at: datetime
    who: str
    action: str
    about: str = ""
    detail: str = ""
    remote: str = ""


def add(tx: sa.Connection, name: str, role: Role, password_hash: str, now: datetime) -> Person | None:
    """Makes an account; None when the name is taken (names differ by more than their case)."""
    made = insert(tx, people).values(
        name=name,
        folded=name.casefold(),
        role=role,
        password_hash=password_hash,
        epoch=_first_epoch(),
        created_at=now,
    )
    row = tx.execute(made.on_conflict_do_nothing().returning(people)).one_or_none()
    return None if row is None else _person(row)


def add_first(tx: sa.Connection, name: str, password_hash: str, now: datetime) -> Person | None:
    """Makes the first account, an admin's; None when there is one already, also one that is made at this moment."""
    # its key is fixed, so that of two who try at once one finds it taken
    made = insert(tx, people).values(
        id=1,
        name=name,
        folded=name.casefold(),
        role=Role.ADMIN,
        password_hash=password_hash,
        epoch=_first_epoch(),
        created_at=now,
    )
    if any_there(tx):
        return None
    row = tx.execute(made.on_conflict_do_nothing().returning(people)).one_or_none()
    if row is not None and tx.dialect.name == "postgresql":
        tx.execute(sa.text("SELECT setval(pg_get_serial_sequence('people', 'id'), 1)"))
    return None if row is None else _person(row)


def any_there(tx: sa.Connection) -> bool:
    """Whether there is any account."""
    return bool(tx.execute(sa.select(sa.exists().select_from(people))).scalar_one())


def find(tx: sa.Connection, name: str) -> tuple[Person, str] | None:
    """The account of that name, and the hash of its password."""
    row = tx.execute(sa.select(people).where(people.c.folded == name.casefold())).one_or_none()
    return None if row is None else (_person(row), row.password_hash)


def read(tx: sa.Connection, key: int) -> Person | None:
    """The account of that key."""
    row = tx.execute(sa.select(people).where(people.c.id == key)).one_or_none()
    return None if row is None else _person(row)


def accounts(tx: sa.Connection) -> list[Account]:
    """All accounts, by name."""
    rows = tx.execute(sa.select(people).order_by(people.c.folded))
    return [Account(_person(row), row.created_at, row.seen_at) for row in rows]


def change(tx: sa.Connection, key: int, **values: Any) -> None:
    """Writes columns of an account; any change ends its sessions, so that it holds at once."""
    tx.execute(sa.update(people).where(people.c.id == key).values(epoch=people.c.epoch + 1, **values))


def signed_in(tx: sa.Connection, key: int, now: datetime, new_hash: str | None = None) -> None:
    """Notes that the person came; `new_hash` replaces one that was made with weaker parameters."""
    values: dict[str, Any] = {"seen_at": now}
    if new_hash is not None:
        values["password_hash"] = new_hash
    tx.execute(sa.update(people).where(people.c.id == key).values(values))


def remove(tx: sa.Connection, key: int) -> None:
    """Deletes the account; what it did stays in the audit log by its name."""
    tx.execute(sa.delete(people).where(people.c.id == key))


def admins(tx: sa.Connection) -> int:
    """How many accounts may do everything; held, so that two don't remove the last two at once."""
    query = sa.select(people.c.id).where(people.c.role == Role.ADMIN).with_for_update()
    return len(tx.execute(query).all())


def note(tx: sa.Connection, deed: Deed) -> None:
    """Writes a line of the audit log."""
    tx.execute(sa.insert(audit).values(vars(deed)))


def note_deed(
    tx: sa.Connection, by: Doer | None, now: datetime, action: str, about: str, detail: str = ""
) -> None:
    """Writes who did something, in the transaction that does it; nothing where no person did (None)."""
    if by is not None:
        note(tx, Deed(now, by.name, action, about, detail[:LONGEST_DETAIL], by.remote))


def deeds_about(tx: sa.Connection, names: Sequence[str], since: datetime, limit: int) -> list[Deed]:
    """What people did with a story of these names since it came, the newest `limit`, oldest first."""
    query = (
        sa.select(audit)
        # by the index over actions: that of names would be one more to write for a page that is seldom asked for
        .where(audit.c.action.in_(STORY_DEEDS), audit.c.at >= since, audit.c.about.in_(names))
        .order_by(audit.c.id.desc())
        .limit(limit)
    )
    fields = Deed.__dataclass_fields__
    return [Deed(**{name: getattr(row, name) for name in fields}) for row in tx.execute(query)][::-1]


def deeds(tx: sa.Connection, limit: int, before: int | None = None) -> list[tuple[int, Deed]]:
    """Lines of the audit log with their keys, the newest first, older than the key `before`."""
    query = sa.select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.id < before)
    names = Deed.__dataclass_fields__
    return [(row.id, Deed(**{name: getattr(row, name) for name in names})) for row in tx.execute(query)]


def refusals(tx: sa.Connection, about: str, remote: str, since: datetime) -> tuple[int, int, int]:
    """How many sign-ins were refused since then: for that name from that address, for the name, from the address."""
    of_name, from_there = audit.c.about == about, audit.c.remote == remote
    query = sa.select(
        sa.func.count(sa.case((sa.and_(of_name, from_there), 1))),
        sa.func.count(sa.case((of_name, 1))),
        sa.func.count(sa.case((from_there, 1))),
    ).where(audit.c.action == SIGN_IN_REFUSED, audit.c.at >= since, sa.or_(of_name, from_there))
    row = tx.execute(query).one()
    return row[0], row[1], row[2]


def _first_epoch() -> int:
    # by chance: SQLite gives a removed account's key to the next one, to whom its sessions must not lead
    return secrets.randbelow(2**30)


def _person(row: Any) -> Person:
    return Person(row.id, row.name, Role(row.role), row.epoch)
