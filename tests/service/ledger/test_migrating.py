import threading

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from service.ledger import Ledger
from service.ledger.migrating import current, head, migrate
from service.ledger.tables import metadata


def test_an_empty_database_is_brought_to_head_once(empty_database_url: str) -> None:
    ledger = Ledger(empty_database_url)
    assert current(ledger) is None
    assert migrate(ledger) == (None, head())
    assert migrate(ledger) == (head(), head())
    assert current(ledger) == head()


def test_the_migrations_make_the_tables_that_the_code_knows(ledger: Ledger) -> None:
    with ledger.read() as tx:
        context = MigrationContext.configure(tx, opts={"include_name": _is_in_the_metadata})
        assert compare_metadata(context, metadata) == []


def _is_in_the_metadata(name: str | None, _kind: str, _parents: object) -> bool:
    # these indexes differ with the database, so the migrations alone make them
    return not (name or "").startswith(("story_words", "ix_stories_words", "ix_stories_finished_at"))


def test_processes_that_migrate_at_once_agree(empty_database_url: str) -> None:
    results: list[tuple[str | None, str]] = []

    def run() -> None:
        ledger = Ledger(empty_database_url)
        results.append(migrate(ledger))
        ledger.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results, key=str) == sorted([(None, head())] + [(head(), head())] * 3, key=str)


def test_a_failed_transaction_leaves_nothing(ledger: Ledger) -> None:
    beat = sa.text("INSERT INTO heartbeats (name, at) VALUES ('a', '2026-01-01T00:00:00.000000+00:00')")

    def twice() -> None:
        with ledger.write() as tx:
            tx.execute(beat)
            tx.execute(beat)

    with pytest.raises(sa.exc.IntegrityError):
        twice()
    with ledger.read() as tx:
        assert tx.execute(sa.text("SELECT count(*) FROM heartbeats")).scalar_one() == 0
