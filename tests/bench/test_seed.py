"""The ledger that measures are taken on is one that the service could have written."""

from typing import Any

import sqlalchemy as sa

from service.ledger import Ledger
from service.ledger.migrating import migrate
from tests.bench.seed import fill

COUNT = 300
_MADE = {
    "sqlite": "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name",
    "postgresql": "SELECT 'index', indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL "
    "SELECT 'key', pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' UNION ALL "
    "SELECT tgenabled::text, tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
}


def rows(ledger: Ledger, query: str) -> list[tuple[Any, ...]]:
    with ledger.read() as tx:
        return [tuple(row) for row in tx.exec_driver_sql(query)]


def test_indexes_keys_triggers_and_sums_are_as_the_migrations_and_the_service_leave_them(
    empty_database_url: str,
) -> None:
    ledger = Ledger(empty_database_url)
    migrate(ledger)
    made = rows(ledger, _MADE[ledger.dialect])
    fill(empty_database_url, COUNT)
    assert rows(ledger, _MADE[ledger.dialect]) == made
    for table, part in (("stories", "kind"), ("receipts", "kind"), ("steps", "outcome")):
        counted = "verdict" if table == "receipts" else "state"
        count = f"SELECT {counted}, count(*) FROM {table} GROUP BY 1 ORDER BY 1"  # noqa: S608  names of ours
        there = rows(ledger, count)
        summed = f"SELECT {part}, sum(value) FROM totals WHERE name = '{table}' GROUP BY 1 ORDER BY 1"  # noqa: S608
        assert rows(ledger, summed) == there
        assert sum(many for _, many in there) > COUNT // 2
    if ledger.dialect == "sqlite":
        assert rows(ledger, "PRAGMA foreign_key_check") == []
    with ledger.write() as tx:  # the next key is free
        tx.execute(
            sa.text(
                "INSERT INTO receipts (verdict, token, body, received_at) VALUES ('x', 'y', 'z', '2026-03-01')"
            )
        )
    ledger.close()
