import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

FULL = 2  # sqlite.org/pragma.html#pragma_synchronous


def test_outside_of_tests_sqlite_waits_for_the_disk(
    tmp_path: Path, prepared_in_earnest: Callable[..., None]
) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as connection:
        prepared_in_earnest(connection, None)
        assert connection.execute("PRAGMA synchronous").fetchone() == (FULL,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
