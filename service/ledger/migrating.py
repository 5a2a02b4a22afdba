"""Brings the ledger's schema up to date; any number of processes may try at once."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from service.ledger import triggers
from service.ledger.engine import Ledger

_LOCK = 0x5709_4E1A  # any number that no other program on this database takes for its own lock


def migrate(ledger: Ledger) -> tuple[str | None, str]:
    """Applies what is missing; returns the revision before and after (None: an empty database).

    Raises RuntimeError, and changes nothing, where a migration has dropped triggers.
    """
    with ledger.write() as tx:
        if ledger.dialect == "postgresql":
            tx.execute(
                sa.text("SET LOCAL lock_timeout = 0")
            )  # a migration may wait and work for as long as it takes
            tx.execute(sa.text("SET LOCAL statement_timeout = 0"))
            tx.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        before = _current(tx)
        config = _config()
        config.attributes["connection"] = tx
        command.upgrade(config, "head")
        triggers.check(tx)
        return before, head()


def head() -> str:
    """The newest revision that this program knows."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    if newest is None:
        raise RuntimeError("the package holds no migrations: it was installed incompletely")
    return newest


def current(ledger: Ledger) -> str | None:
    """The revision that the database is at, None for one that was never migrated."""
    with ledger.read() as tx:
        return _current(tx)


def _current(tx: sa.Connection) -> str | None:
    return MigrationContext.configure(tx).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
