"""The triggers that the ledger can't do without: those that count for the metrics, and SQLite's index of words.

The migrations make them; a migration that has SQLite make a table anew (`batch_alter_table`) drops those of the
table without a word, and nothing would count from then on.
"""

import sqlalchemy as sa

COUNTING = frozenset(
    {
        ("receipts", "tally_receipt_comes"),
        ("notices", "tally_notice_comes"),
        ("videos", "tally_video_comes"),
        ("attempts", "tally_attempt_ends"),
        ("steps", "tally_step_comes_ended"),
        ("steps", "tally_step_ends"),
        ("steps", "tally_step_goes_on"),
        ("steps", "tally_step_leaves"),
        ("stories", "tally_story_comes"),
        ("stories", "tally_story_enters"),
        ("stories", "tally_story_moves"),
        ("stories", "tally_story_leaves"),
        ("stories", "tally_story_finishes"),
        ("stories", "tally_story_is_told_late"),
        ("stories", "tally_story_settles"),
        ("stories", "tally_story_is_charged"),
    }
)
"""Table and name."""

WORDS = frozenset(("stories", f"story_words_{name}") for name in ("comes", "leaves", "loses", "gains"))
"""PostgreSQL has an index instead."""

_LISTS = {
    "sqlite": "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgrelid::regclass::text, tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
    "WHERE NOT tgisinternal AND tgenabled <> 'D' AND relnamespace = current_schema()::regnamespace",
}


def wanted(dialect: str) -> frozenset[tuple[str, str]]:
    """What a migrated database has: table and name of each."""
    return COUNTING | WORDS if dialect == "sqlite" else COUNTING


def present(tx: sa.Connection) -> frozenset[tuple[str, str]]:
    """What this database has."""
    return frozenset((table, name) for table, name in tx.execute(sa.text(_LISTS[tx.dialect.name])))


def check(tx: sa.Connection) -> None:
    """Raises RuntimeError where one is missing; within a migration's transaction, that is undone."""
    missing = sorted(wanted(tx.dialect.name) - present(tx))
    if missing:
        named = ", ".join(f"{name} on {table}" for table, name in missing)
        raise RuntimeError(
            f"the migration would leave the ledger without its triggers: {named}. They have to be made again after a "
            "table is made anew"
        )
