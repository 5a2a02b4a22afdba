"""What the dashboard's pages cost the server over a million stories, against the same over a thousand.

The mark is for processor time, of this process and of PostgreSQL's for it, so that other work on the machine does
not decide; the time on the clock stands beside it. `BENCH_STORIES` says how many instead of a million, and
`BENCH_LEDGER`, where it is the address of a ledger of `tests.bench.seed`, saves writing one.
"""

import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from service.domain.states import StoryState
from service.ledger import Ledger, overview, stories, story_lines, story_list
from service.ledger.story_list import Sought
from tests.bench import pages, processor
from tests.bench.figures import Figure
from tests.bench.seed import END, fill
from tests.bench.servers import database

MANY, FEW = int(os.environ.get("BENCH_STORIES", "1000000")), 1000
MOST_MS = 150.0
LINES = 50

Read = Callable[[sa.Connection], object]
_OLD, _DAY = END - timedelta(days=300), timedelta(days=1)
_LATELY = END - timedelta(days=14)
_INDEX = re.compile(
    r"(?:(?<!MULTI-)INDEX (?!\d)|Index (?:Only )?Scan (?:Backward )?using |Index Scan on )(\w+)"
)

FILTERS = {
    "no filter": Sought(),
    "failed": Sought(states=(StoryState.FAILED,)),
    "under way": Sought(states=(StoryState.OPEN, StoryState.SETTLING)),
    "destination": Sought(destination="team"),
    "rare destination": Sought(destination="desk"),
    "route": Sought(route="all"),
    "rare route": Sought(route="upright"),
    "label": Sought(labels={"team": "shop"}),
    "label that none has": Sought(labels={"team": "nobody"}),
    "one day": Sought(since=_OLD, until=_OLD + _DAY),
    "one day, failed": Sought(states=(StoryState.FAILED,), since=_OLD, until=_OLD + _DAY),
    "destination, failed: excludes": Sought(destination="team", states=(StoryState.FAILED,)),
    "route, destination, settled": Sought(route="upright", destination="cms", states=(StoryState.SETTLED,)),
    "rare word": Sought(words="zeppelin"),
    "two words": Sought(words="fox harbour"),
    "word of all": Sought(words="story"),
    "word of old stories alone": Sought(words="gondola"),
    "word of old stories, failed": Sought(words="gondola", states=(StoryState.FAILED,)),
    "word, failed, one day": Sought(words="moon", states=(StoryState.FAILED,), since=_OLD, until=_OLD + _DAY),
    "word of all, rare destination": Sought(words="story", destination="desk"),
    "id": Sought(words="story-00000777"),
}


def run(kind: str, rounds: int) -> list[Figure]:
    """Milliseconds of each page, and by which indexes it was found."""
    with _ledgers(kind) as (many, few):
        found = [_figure(f"{kind}: {name}", read, many, few, rounds) for name, read in _reads()]
        return [*found, *pages.figures(kind, many, few, rounds, MOST_MS)]


def _reads() -> Iterator[tuple[str, Read]]:
    for name, sought in FILTERS.items():
        yield name, partial(_page, sought)
    yield "no filter, deep", partial(_page, Sought(), before=MANY // 2)
    yield "failed, deep", partial(_page, FILTERS["failed"], before=MANY // 2)
    yield "newer again, deep", partial(_page, FILTERS["failed"], after=MANY // 2)
    yield "overview", _overview
    yield "overview's trends", _trends


def _page(sought: Sought, tx: sa.Connection, **turn: int) -> None:
    found = story_list.page(tx, sought, LINES, **turn)
    story_lines.lines(tx, found.keys)


def _overview(tx: sa.Connection) -> None:
    overview.states(tx)
    overview.waiting(tx, END)
    overview.health(tx, END - _DAY)


def _trends(tx: sa.Connection) -> None:
    overview.publishing(tx, _LATELY)
    overview.by_day(tx, _LATELY)
    stories.missed_webhooks(tx, _LATELY)


def _figure(name: str, read: Read, many: Ledger, few: Ledger, rounds: int) -> Figure:
    spent, took = _milliseconds(many, read, rounds)
    ratio = statistics.median(spent) / statistics.median(_milliseconds(few, read, rounds)[0])
    clock = f"{statistics.median(took):.0f} ms by the clock, {took[0]:.0f} the first time"
    remark = f"{ratio:.1f} × {FEW:,} stories; {clock}; by {', '.join(_indexes(many, read))}"
    return Figure(name, spent, "ms", at_most=MOST_MS, remark=remark)


def _milliseconds(ledger: Ledger, read: Read, rounds: int) -> tuple[list[float], list[float]]:
    """Of each round, processor time and time on the clock."""
    spent, took = [], []
    for _ in range(rounds):
        spent_so_far = processor.of_queries(ledger)
        with ledger.read() as tx:
            before, began = spent_so_far(), time.perf_counter()
            read(tx)
            took.append((time.perf_counter() - began) * 1000)
            spent.append((spent_so_far() - before) * 1000)
    return spent, took


def _indexes(ledger: Ledger, read: Read) -> list[str]:
    """The indexes that the plans of all its queries name; and what is read from end to end."""
    asked: list[tuple[str, Any]] = []

    def keep(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked.append((statement, parameters))

    sa.event.listen(ledger.engine, "before_cursor_execute", keep)
    with ledger.read() as tx:
        read(tx)
    sa.event.remove(ledger.engine, "before_cursor_execute", keep)
    explain = "EXPLAIN QUERY PLAN " if ledger.dialect == "sqlite" else "EXPLAIN "
    used: dict[str, None] = {}
    with ledger.read() as tx:
        for statement, parameters in asked:
            if statement.lstrip().startswith(("SELECT", "WITH")):
                rows = tx.exec_driver_sql(explain + statement, parameters).all()
                used |= dict.fromkeys(_named("\n".join(str(row[-1]) for row in rows), "LIMIT" in statement))
    return list(used)


def _named(plan: str, is_limited: bool) -> Iterator[str]:
    in_order = is_limited and "TEMP B-TREE" not in plan  # SQLite's tables are in the order of their keys
    for line in plan.splitlines():
        by = _INDEX.search(line)
        if by is not None:
            yield by[1]
        elif "PRIMARY KEY" in line or "VIRTUAL TABLE" in line:
            yield "primary key" if "PRIMARY KEY" in line else "story_words"
        elif re.search(r"\bSCAN (stories|steps|attempts)\b", line):
            yield "primary key" if "USING" in line or in_order else "whole table!"
        elif re.search(r"Seq Scan on (stories|steps|attempts)\b", line):
            yield "whole table!"


@contextmanager
def _ledgers(kind: str) -> Iterator[tuple[Ledger, Ledger]]:
    with (
        tempfile.TemporaryDirectory(prefix="storyrelay-bench-", ignore_cleanup_errors=True) as folder,
        database(kind) as few,
        _filled(kind, Path(folder)) as many,
    ):
        few = few or f"sqlite:///{folder}/few.sqlite3"
        fill(few, FEW)
        ledgers = [Ledger(many), Ledger(few)]
        yield ledgers[0], ledgers[1]
        for ledger in ledgers:
            ledger.close()


@contextmanager
def _filled(kind: str, folder: Path) -> Iterator[str]:
    there = os.environ.get("BENCH_LEDGER", "")
    if there.startswith(kind):
        yield there
        return
    with database(kind) as many:
        many = many or f"sqlite:///{folder}/many.sqlite3"
        fill(many, MANY)
        yield many
