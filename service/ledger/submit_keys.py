"""Submissions that a program named by a key of its own, so that asking again asks for nothing anew."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from service.ledger.api_tables import submit_keys
from service.ledger.engine import insert

KEPT = timedelta(hours=24)


class KeyTaken(Exception):
    """Another call with the same key was faster."""


@dataclass(frozen=True)
class SubmitKey:
    """A key that was used. `story` is the ledger's key of what it asked for, None: that is forgotten since.

    `status` and `answer` None: none was kept (yet). `refused`: why nothing was made, None unless that is known.
    """

    digest: str
    story: int | None
    status: int | None
    answer: str | None
    refused: str | None


def find(tx: sa.Connection, token: int, key: str, now: datetime) -> SubmitKey | None:
    """What the key was used for by this token within the last 24 hours."""
    query = sa.select(submit_keys).where(*_is(token, key), submit_keys.c.created_at > now - KEPT)
    row = tx.execute(query).one_or_none()
    return None if row is None else SubmitKey(row.digest, row.story, row.status, row.answer, row.refused)


def take(tx: sa.Connection, token: int, key: str, digest: str, story: int, now: datetime) -> None:
    """Takes the key for the story, in the transaction that writes its row. Raises KeyTaken; forgets old ones."""
    tx.execute(sa.delete(submit_keys).where(submit_keys.c.created_at <= now - KEPT))
    taken = insert(tx, submit_keys).values(token=token, key=key, digest=digest, story=story, created_at=now)
    if tx.execute(taken.on_conflict_do_nothing().returning(submit_keys.c.story)).one_or_none() is None:
        raise KeyTaken


def keep(tx: sa.Connection, token: int, key: str, status: int, answer: str) -> None:
    """Keeps the answer, unless what it tells of is forgotten by now."""
    there = submit_keys.c.story.is_not(None)
    tx.execute(sa.update(submit_keys).where(*_is(token, key), there).values(status=status, answer=answer))


def refuse(tx: sa.Connection, story: int, why: str) -> None:
    """Notes of the key that asked for this story, if there is one, that nothing was made."""
    tx.execute(sa.update(submit_keys).where(submit_keys.c.story == story).values(refused=why))


def pass_on(tx: sa.Connection, story: int, to: int) -> None:
    """Has a key tell of another row of the same story, which is the one that goes on."""
    tx.execute(sa.update(submit_keys).where(submit_keys.c.story == story).values(story=to))


def forget(tx: sa.Connection, story: int) -> None:
    """Takes what a story's key tells of it. The key stays in use, so that nothing is asked and paid for again."""
    gone = {"story": None, "answer": None, "refused": None}
    tx.execute(sa.update(submit_keys).where(submit_keys.c.story == story).values(gone))


def free(tx: sa.Connection, story: int) -> None:
    """Lets the key that asked for this story, if there is one, be used anew: it had no effect, but may soon."""
    tx.execute(sa.delete(submit_keys).where(submit_keys.c.story == story))


def _is(token: int, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    return submit_keys.c.token == token, submit_keys.c.key == key
