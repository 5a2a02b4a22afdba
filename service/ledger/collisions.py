"""Transactions that lose against another at the same instant: done again, they see what the other wrote."""

from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
import structlog

log = structlog.get_logger()

Result = TypeVar("Result")

TRIES = 3
"""Once more for the row that another made first, and once for the locks on the way to it."""

_LOST = frozenset({"40P01", "40001"})
"""PostgreSQL's codes for the victim of a deadlock, and for what could not be put into an order."""


def whoever_was_first(write: Callable[[], Result]) -> Result:
    """Does a transaction, and again where it broke a unique key or a deadlock picked it: nothing of it was kept.

    Raises what the last try raises.
    """
    for _ in range(TRIES - 1):
        try:
            return write()
        except sa.exc.DBAPIError as error:
            if not _collided(error):
                raise
            log.info("ledger.collided", error=type(error.orig).__name__)
    return write()


def _collided(error: sa.exc.DBAPIError) -> bool:
    return isinstance(error, sa.exc.IntegrityError) or getattr(error.orig, "sqlstate", None) in _LOST
