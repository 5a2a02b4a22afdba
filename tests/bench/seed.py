"""`python -m tests.bench.seed --stories 1000000 DATABASE_URL`: fills an empty ledger as years of work would have.

Rows are written without triggers and indexes, whose work is done once at the end.
"""

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from service.ledger import Ledger
from service.ledger.migrating import migrate
from service.ledger.tables import attempts, lanes, receipts, sortable, steps, stories

BATCH = 10_000
DAYS = 730
END = datetime(2026, 3, 1, 12, tzinfo=UTC)
DESTINATIONS = {"team": 0.9, "cms": 0.6, "shelf": 0.4, "desk": 0.01}
"""Destination → share of the published stories that go there; one of them is rare."""

STATES = {"settled": 0.94, "failed": 0.05, "unknown": 0.004, "cancelled": 0.003, "given_up": 0.003}
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
_RARE = "zeppelin"

Rows = dict[str, list[tuple[Any, ...]]]
COLUMNS = {
    "stories": [
        "id",
        "submission_id",
        "story_id",
        "origin",
        "kind",
        "state",
        "route",
        "title",
        "request",
        "labels",
        "used_credits",
        "revision",
        "webhook_at",
        "noticed_by",
        "finished_at",
        "settled_at",
        "published_at",
        "created_at",
        "updated_at",
    ],
    "steps": [
        "id",
        "story",
        "kind",
        "destination",
        "revision",
        "route",
        "state",
        "attempts",
        "url",
        "created_at",
        "ended_at",
    ],
    "attempts": ["id", "step", "generation", "kind", "destination", "outcome", "started_at", "ended_at"],
    "receipts": ["id", "story", "verdict", "token", "claimed_id", "claimed_status", "body", "received_at"],
}
_TABLES = {"stories": stories, "steps": steps, "attempts": attempts, "receipts": receipts}


def fill(url: str, count: int) -> None:
    """Migrates the database and fills it; the same stories every time."""
    ledger = Ledger(url)
    migrate(ledger)
    chance = random.Random(7)
    with _bare_tables(ledger):
        for first in range(1, count + 1, BATCH):
            rows: Rows = defaultdict(list)
            for number in range(first, min(first + BATCH, count + 1)):
                _story(rows, number, count, chance)
            _write(ledger, rows)
    ledger.close()


def _story(rows: Rows, number: int, count: int, chance: random.Random) -> None:
    created = END - timedelta(days=DAYS) * ((count - number) / count) - timedelta(seconds=60)
    state = chance.choices(list(STATES), list(STATES.values()))[0]
    if number > count - 50:
        state = "open" if number % 2 else "settling"
    words = [*chance.choices(_WORDS, k=3), *([_RARE] if number % 5000 == 0 else [])]
    finished = (
        created + timedelta(seconds=chance.uniform(60, 400)) if state in ("settled", "failed") else None
    )
    settled = (
        finished + timedelta(seconds=chance.expovariate(0.3)) if finished and state == "settled" else None
    )
    polled = chance.random() < 0.03
    route = "all" if chance.random() < 0.97 else "upright"
    rows["stories"].append((
        number, f"sub-{number}", f"story-{number:08d}", "submitted", "idea", state, route if number % 3 else None,
        " ".join(words[:2]).capitalize(), json.dumps({"idea": "A story about " + " and ".join(words)}),
        json.dumps({"team": "brand" if number % 7 else "shop"}), 60.0 if finished else None, 1 if settled else 0,
        None if polled else finished, ("poll" if polled else "webhook") if finished else None, finished, settled,
        settled, created, settled or finished or created,
    ))  # fmt: skip
    _work(rows, number, route, created, settled, chance)
    if not polled:
        rows["receipts"].append(
            (
                number,
                number,
                "accepted",
                "submission",
                f"story-{number:08d}",
                "success",
                b"{}",
                finished or created,
            )
        )


def _work(
    rows: Rows, number: int, route: str, created: datetime, settled: datetime | None, chance: random.Random
) -> None:
    names = [("fetch", "")]
    if settled is not None:
        names.append(("download", ""))
        names += [("deliver", name) for name, share in DESTINATIONS.items() if chance.random() < share]
    for place, (kind, name) in enumerate(names):
        key = number * 8 + place
        state = "dead" if kind == "deliver" and chance.random() < 0.002 else "done"
        ended = settled or created
        url = f"https://{name}.example.com/{number}" if name and state == "done" else None
        routed = route if name else ""
        rows["steps"].append((key, number, kind, name, 1, routed, state, 1, url, created, ended))
        rows["attempts"].append((key, key, 1, kind, name, state, ended - timedelta(seconds=0.4), ended))


def _write(ledger: Ledger, rows: Rows) -> None:
    if ledger.dialect == "postgresql":
        with ledger.engine.begin() as tx, tx.connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            for name, columns in COLUMNS.items():
                with cursor.copy(f"COPY {name} ({', '.join(columns)}) FROM STDIN") as copy:
                    for row in rows[name]:
                        copy.write_row(row)
        return
    with ledger.write() as tx:
        driver = tx.connection.driver_connection
        assert driver is not None
        for name, columns in COLUMNS.items():
            marks = ", ".join("?" * len(columns))
            texts = [tuple(sortable(v) if isinstance(v, datetime) else v for v in row) for row in rows[name]]
            insert = f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608  names of ours
            driver.executemany(insert, texts)


@contextmanager
def _bare_tables(ledger: Ledger) -> Iterator[None]:
    with ledger.write() as tx:
        dropped = list(_drop_what_follows(tx))
    yield
    with ledger.write() as tx:
        for made in dropped:
            tx.exec_driver_sql(made)
        _do_what_triggers_do(tx)
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as free:
        free.exec_driver_sql("ANALYZE")


def _drop_what_follows(tx: sa.Connection) -> Iterator[str]:
    """Drops SQLite's triggers, and the indexes of either; gives the statements that make them again."""
    known = (
        "SELECT type, name, sql FROM sqlite_master "
        "WHERE type = 'trigger' OR (type = 'index' AND sql IS NOT NULL AND tbl_name NOT LIKE 'story_words%')"
        if tx.dialect.name == "sqlite"
        else "SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' "
        "AND indexname NOT IN (SELECT conname FROM pg_constraint)"
    )
    for kind, name, sql in tx.exec_driver_sql(known).all():
        tx.exec_driver_sql(f"DROP {kind} {name}")
        yield sql


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
