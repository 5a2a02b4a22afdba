"""`python -m tests.bench.seed --stories 1000000 DATABASE_URL`: fills an empty ledger as years of work would have.

Rows are written without triggers, indexes and foreign keys, whose work is done once at the end; attempts and
receipts follow from steps and stories within the database. A million stories take some two minutes.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import sqlalchemy as sa

from service.ledger import Ledger
from service.ledger.migrating import migrate
from service.ledger.tables import lanes

BATCH = 20_000
DAYS = 730
END = datetime(2026, 3, 1, 12, tzinfo=UTC)
DESTINATIONS = {"team": 0.9, "cms": 0.6, "shelf": 0.4, "desk": 0.01}
"""Destination → share of the published stories that go there; one of them is rare."""

STATES = {"settled": 0.94, "failed": 0.05, "unknown": 0.004, "cancelled": 0.003, "given_up": 0.003}
_NAMES, _SHARES = list(STATES), list(accumulate(STATES.values()))
_WORDS = [
    "fox",
    "harbour",
    "winter",
    "letter",
    "moon",
    "garden",
    "parrot",
    "keeper",
    "snow",
    "river",
    "lantern",
    "voyage",
    "clock",
    "orchard",
    "market",
    "tower",
]
_RARE, _OLD = "zeppelin", "gondola"
"""One story of 5000 has the first; the second a sixteenth of all, and none of the newer ones."""

COLUMNS = {
    "stories": (
        "id, submission_id, story_id, origin, kind, state, route, title, request, labels, used_credits, revision, "
        "webhook_at, noticed_by, finished_at, settled_at, published_at, created_at, updated_at"
    ),
    "steps": "id, story, kind, destination, revision, route, state, attempts, url, created_at, ended_at",
}
_BEGUN = {
    "sqlite": "strftime('%Y-%m-%dT%H:%M:%f', ended_at, '-0.4 seconds') || '000+00:00'",
    "postgresql": "ended_at - interval '0.4 seconds'",
}
_DERIVED = (
    "INSERT INTO attempts (id, step, generation, kind, destination, outcome, started_at, ended_at) "
    "SELECT id, id, 1, kind, destination, state, {begun}, ended_at FROM steps ORDER BY id",
    "INSERT INTO receipts (id, story, verdict, token, claimed_id, claimed_status, body, received_at) "
    "SELECT id, id, 'accepted', 'submission', story_id, 'success', {body}, coalesce(finished_at, created_at) "
    "FROM stories WHERE noticed_by = 'webhook' OR noticed_by IS NULL ORDER BY id",
)
_BODY = {"sqlite": "x'7b7d'", "postgresql": "'{}'::bytea"}

Row = tuple[Any, ...]


def fill(url: str, count: int) -> None:
    """Migrates the database and fills it; the same stories every time."""
    ledger = Ledger(url)
    migrate(ledger)
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as tx:
        for setting in _FAST[ledger.dialect]:
            tx.exec_driver_sql(setting)
        again = _drop_what_follows(tx)
        for table, rows in _rows(count):
            _WRITE[ledger.dialect](tx, table, rows)
        for query in _DERIVED:
            tx.exec_driver_sql(query.format(begun=_BEGUN[ledger.dialect], body=_BODY[ledger.dialect]))
        for made in again:
            tx.exec_driver_sql(made)
        _do_what_triggers_do(tx)
        tx.exec_driver_sql("ANALYZE")
        tx.invalidate()  # the settings above are for nobody else
    ledger.close()


_FAST = {
    "sqlite": (
        "COMMIT",  # every connection of ours begins a transaction, in which no pragma changes
        "PRAGMA synchronous=OFF",
        "PRAGMA foreign_keys=OFF",
        "PRAGMA cache_size=-400000",
        "PRAGMA wal_autocheckpoint=100000",
    ),
    "postgresql": (
        "SET statement_timeout = 0",
        "SET synchronous_commit = off",
        "SET maintenance_work_mem = '256MB'",
    ),
}
"""What the one connection that writes may do and the service may not: half a ledger is made anew."""


def _rows(count: int) -> Iterator[tuple[str, list[Row]]]:
    chance = random.Random(7)
    for first in range(1, count + 1, BATCH):
        new: list[Row] = []
        work: list[Row] = []
        for number in range(first, min(first + BATCH, count + 1)):
            _story(new, work, number, count, chance)
        yield "stories", new
        yield "steps", work


def _story(new: list[Row], work: list[Row], number: int, count: int, chance: random.Random) -> None:
    came = END - timedelta(days=DAYS) * ((count - number) / count) - timedelta(seconds=60)
    state = chance.choices(_NAMES, cum_weights=_SHARES)[0]
    if number > count - 50:
        state = "open" if number % 2 else "settling"
    words = [*chance.choices(_WORDS, k=3), *([_RARE] if number % 5000 == 0 else [])]
    if count // 10 <= number < count // 10 + count // 16:
        words.append(_OLD)
    created, finished, settled = _text(came), None, None
    if state in ("settled", "failed"):
        at = came + timedelta(seconds=chance.uniform(60, 400))
        finished = _text(at)
        settled = _text(at + timedelta(seconds=chance.expovariate(0.3))) if state == "settled" else None
    polled = chance.random() < 0.03
    route = "all" if chance.random() < 0.97 else "upright"
    new.append((
        number, f"sub-{number}", f"story-{number:08d}", "submitted", "idea", state, route if number % 3 else None,
        f"{words[0]} {words[1]}".capitalize(), f'{{"idea": "A story about {" and ".join(words)}"}}',
        '{"team": "brand"}' if number % 7 else '{"team": "shop"}', 60.0 if finished else None, 1 if settled else 0,
        None if polled else finished, ("poll" if polled else "webhook") if finished else None, finished, settled,
        settled, created, settled or finished or created,
    ))  # fmt: skip
    _work(work, number, route, created, settled, chance)


def _text(at: datetime) -> str:
    """As SQLite has it and PostgreSQL reads it."""
    return at.isoformat(timespec="microseconds")


def _work(
    work: list[Row], number: int, route: str, created: str, settled: str | None, chance: random.Random
) -> None:
    ended = settled or created
    key = number * 8
    work.append((key, number, "fetch", "", 1, "", "done", 1, None, created, ended))
    if settled is None:
        return
    work.append((key + 1, number, "download", "", 1, "", "done", 1, None, created, ended))
    for place, (name, share) in enumerate(DESTINATIONS.items(), 2):
        if chance.random() < share:
            state = "dead" if chance.random() < 0.002 else "done"
            url = f"https://{name}.example.com/{number}" if state == "done" else None
            work.append((key + place, number, "deliver", name, 1, route, state, 1, url, created, ended))


def _copy(tx: sa.Connection, table: str, rows: Sequence[Row]) -> None:
    cursor: Any = tx.connection.cursor()
    with cursor, cursor.copy(f"COPY {table} ({COLUMNS[table]}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _insert(tx: sa.Connection, table: str, rows: Sequence[Row]) -> None:
    driver: Any = tx.connection.driver_connection
    marks = ", ".join("?" * len(rows[0]))
    driver.execute("BEGIN IMMEDIATE")
    driver.executemany(f"INSERT INTO {table} ({COLUMNS[table]}) VALUES ({marks})", rows)  # noqa: S608  names of ours
    driver.execute("COMMIT")


_WRITE = {"sqlite": _insert, "postgresql": _copy}
_FOLLOWS = {
    "sqlite": "SELECT 'DROP ' || type || ' ' || name, sql FROM sqlite_master WHERE type = 'trigger' "
    "OR (type = 'index' AND sql IS NOT NULL AND tbl_name NOT LIKE 'story_words%')",
    "postgresql": "SELECT 'DROP INDEX ' || indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema "
    "AND indexname NOT IN (SELECT conname FROM pg_constraint) UNION ALL "
    "SELECT alter || 'DROP ' || name, alter || 'ADD ' || name || pg_get_constraintdef(oid) FROM (SELECT oid, "
    "'ALTER TABLE ' || conrelid::regclass || ' ' AS alter, 'CONSTRAINT ' || quote_ident(conname) || ' ' AS name "
    "FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema::regnamespace) AS keys UNION ALL "
    "SELECT alter || 'DISABLE ' || name, alter || 'ENABLE ' || name FROM (SELECT "
    "'ALTER TABLE ' || tgrelid::regclass || ' ' AS alter, 'TRIGGER ' || quote_ident(tgname) AS name "
    "FROM pg_trigger WHERE NOT tgisinternal) AS triggers",
}
"""Triggers, indexes and foreign keys: the statement that drops each, and the one that makes it again."""


def _drop_what_follows(tx: sa.Connection) -> list[str]:
    again = []
    for drop, make in tx.exec_driver_sql(_FOLLOWS[tx.dialect.name]).all():
        tx.exec_driver_sql(drop)
        again.append(make)
    return again


def _do_what_triggers_do(tx: sa.Connection) -> None:
    if tx.dialect.name == "sqlite":
        tx.exec_driver_sql(
            "INSERT INTO story_words(rowid, title, idea) "
            "SELECT id, title, json_extract(request, '$.idea') FROM stories"
        )
    for query in (
        "SELECT 'stories', state, '', '', 'sum', count(*) FROM stories GROUP BY state",
        "SELECT 'steps', kind, destination, state, 'sum', count(*) FROM steps GROUP BY kind, destination, state",
        "SELECT 'receipts', verdict, '', '', 'sum', count(*) FROM receipts GROUP BY verdict",
    ):
        tx.exec_driver_sql(f"INSERT INTO totals (name, kind, destination, outcome, part, value) {query}")
    if tx.dialect.name == "postgresql":
        for table in ("stories", "steps", "attempts", "receipts"):
            tx.exec_driver_sql(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))")  # noqa: S608
    tx.execute(sa.insert(lanes), [{"kind": "deliver", "destination": name} for name in DESTINATIONS])


def main() -> int:
    """Fills the database that is named."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.seed", description=__doc__)
    parser.add_argument("url", help="postgresql+psycopg://… or sqlite:///…: an empty database")
    parser.add_argument("--stories", type=int, default=1_000_000)
    wanted = parser.parse_args()
    began = time.monotonic()
    fill(wanted.url, wanted.stories)
    sys.stdout.write(f"{wanted.stories:,} stories in {time.monotonic() - began:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
