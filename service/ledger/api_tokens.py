"""The JSON API's tokens in the ledger."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from service.domain.api_tokens import ApiToken, Scope
from service.ledger.api_tables import api_tokens
from service.ledger.engine import insert

USE_STEP = timedelta(minutes=1)
"""How exactly the last use is known: so that not every call has to write."""


def add(
    tx: sa.Connection,
    name: str,
    handle: str,
    digest: str,
    scopes: Sequence[Scope],
    expires_at: datetime | None,
    now: datetime,
) -> ApiToken | None:
    """Writes a token; None when the name is taken (names differ by more than their case)."""
    made = insert(tx, api_tokens).values(
        name=name,
        folded=name.casefold(),
        handle=handle,
        digest=digest,
        scopes=" ".join(scopes),
        created_at=now,
        expires_at=expires_at,
    )
    row = tx.execute(made.on_conflict_do_nothing().returning(api_tokens)).one_or_none()
    return None if row is None else _token(row)


def find(tx: sa.Connection, handle: str) -> tuple[ApiToken, str] | None:
    """The token that begins so, and the digest of the whole of it."""
    row = tx.execute(sa.select(api_tokens).where(api_tokens.c.handle == handle)).one_or_none()
    return None if row is None else (_token(row), row.digest)


def every(tx: sa.Connection) -> list[ApiToken]:
    """All tokens, by name."""
    return [_token(row) for row in tx.execute(sa.select(api_tokens).order_by(api_tokens.c.folded))]


def used(tx: sa.Connection, key: int, now: datetime) -> None:
    """Notes a use."""
    tx.execute(sa.update(api_tokens).where(api_tokens.c.id == key).values(used_at=now))


def remove(tx: sa.Connection, name: str) -> ApiToken | None:
    """Deletes the token of that name; None where there is none."""
    gone = sa.delete(api_tokens).where(api_tokens.c.folded == name.casefold()).returning(api_tokens)
    row = tx.execute(gone).one_or_none()
    return None if row is None else _token(row)


def _token(row: Any) -> ApiToken:
    scopes = tuple(Scope(each) for each in row.scopes.split())
    return ApiToken(row.id, row.name, row.handle, scopes, row.created_at, row.expires_at, row.used_at)
