"""What counts for the metrics is there after all migrations, is missed when it is not, and counts."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from service.ledger import Ledger, migrating, triggers
from service.ledger.metrics_tables import tallies
from service.ledger.migrating import migrate
from service.ledger.tables import attempts, notices, receipts, steps, stories, videos
from tests.service.ledger.conftest import at

Tally = tuple[str, str, str, str, float]


def test_the_migrations_make_them_all_and_no_others(ledger: Ledger) -> None:
    with ledger.read() as tx:
        assert triggers.present(tx) == triggers.wanted(ledger.dialect)


def test_a_migration_that_drops_one_is_undone(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(empty_database_url)
    upgrade = migrating.command.upgrade

    def and_alters(config: migrating.Config, revision: str) -> None:
        upgrade(config, revision)
        _alter_anew(config.attributes["connection"])

    monkeypatch.setattr(migrating.command, "upgrade", and_alters)
    if ledger.dialect == "sqlite":  # PostgreSQL alters a table in its place
        with pytest.raises(RuntimeError, match="tally_attempt_ends on attempts"):
            migrate(ledger)
        assert migrating.current(ledger) is None
    else:
        migrate(ledger)
        with ledger.write() as tx:
            tx.execute(sa.text("ALTER TABLE attempts DISABLE TRIGGER tally_attempt_ends"))
            with pytest.raises(RuntimeError, match="tally_attempt_ends on attempts"):
                triggers.check(tx)
    ledger.close()


def _alter_anew(tx: sa.Connection) -> None:
    """As a migration changes a column, for which SQLite makes the table anew."""
    with Operations(MigrationContext.configure(tx)).batch_alter_table("attempts") as table:
        table.alter_column("detail", existing_type=sa.Text(), nullable=True)


STORY = {
    "id": 1, "submission_id": "sub-1", "origin": "submitted", "state": "open", "created_at": at(0), "updated_at": at(0),
}  # fmt: skip
STEP = {"id": 1, "story": 1, "kind": "deliver", "destination": "cms", "state": "pending", "created_at": at(0)}
ENDED_STEP = {**STEP, "id": 2, "destination": "blog", "state": "dead"}
VIDEO = {
    "story": 1, "revision": 1, "prefix": "p", "sha256": "ab", "bytes": 7, "seconds": 1.5, "width": 9, "height": 16,
    "video_codec": "h264", "has_poster": False, "has_captions": False, "created_at": at(0),
}  # fmt: skip
ATTEMPT = {
    "id": 1, "step": 1, "generation": 1, "kind": "deliver", "destination": "cms", "outcome": "running",
    "started_at": at(0),
}  # fmt: skip
RECEIPT = {"id": 1, "verdict": "accepted", "token": "t", "body": b"", "received_at": at(0)}
NOTICE = {"id": 1, "key": "k", "kind": "lane_paused", "title": "t", "text": "t", "created_at": at(0)}


def _story(**values: object) -> sa.Update:
    return sa.update(stories).where(stories.c.id == 1).values(**values)


def _step(key: int, **values: object) -> sa.Update:
    return sa.update(steps).where(steps.c.id == key).values(**values)


DEEDS: list[tuple[sa.Executable, dict[str, Tally]]] = [
    (sa.insert(stories).values(STORY), {"story_comes": ("stories", "open", "", "", 1)}),
    (sa.insert(receipts).values(RECEIPT), {"receipt_comes": ("receipts", "accepted", "", "", 1)}),
    (sa.insert(notices).values(NOTICE), {"notice_comes": ("notices", "lane_paused", "", "", 1)}),
    (sa.insert(videos).values(VIDEO), {"video_comes": ("video_bytes", "", "", "", 7)}),
    (
        _story(state="settling"),
        {
            "story_enters": ("stories", "settling", "", "", 1),
            "story_moves": ("stories", "open", "", "", -1),
        },
    ),
    (
        _story(finished_at=at(10), noticed_by="poll", revision=1),
        {"story_finishes": ("finished", "submitted", "", "poll", 1)},
    ),
    (_story(webhook_at=at(20)), {"story_is_told_late": ("late_webhooks", "", "", "", 1)}),
    (_story(used_credits=50), {"story_is_charged": ("credits", "", "", "", 50)}),
    (_story(settled_at=at(40)), {"story_settles": ("published", "poll", "", "", 30)}),
    (sa.insert(steps).values(STEP), {}),
    (sa.insert(attempts).values(ATTEMPT), {}),
    (
        sa.update(attempts).values(outcome="done", ended_at=at(2.5)),
        {"attempt_ends": ("attempts", "deliver", "cms", "done", 2.5)},
    ),
    (_step(1, state="done"), {"step_ends": ("steps", "deliver", "cms", "done", 1)}),
    (
        _step(1, state="pending"),
        {"step_goes_on": ("steps", "deliver", "cms", "done", -1)},
    ),
    (sa.insert(steps).values(ENDED_STEP), {"step_comes_ended": ("steps", "deliver", "blog", "dead", 1)}),
    (
        sa.delete(steps).where(steps.c.id == 2),
        {"step_leaves": ("steps", "deliver", "blog", "dead", -1)},
    ),
    (sa.delete(stories), {"story_leaves": ("stories", "settling", "", "", -1)}),
]
"""What is done to an empty ledger, one after the other, and what each trigger is to count of it."""


def test_all_of_them_are_tried() -> None:
    tried = {f"tally_{name}" for _, counted in DEEDS for name in counted}
    assert tried == {name for _, name in triggers.COUNTING}


@pytest.fixture
def counted(ledger: Ledger) -> Callable[[sa.Executable], list[Tally]]:
    """Does it, and takes what was counted of it."""

    def counted(deed: sa.Executable) -> list[Tally]:
        fields = [tallies.c[name] for name in ("name", "kind", "destination", "outcome", "value")]
        with ledger.write() as tx:
            tx.execute(deed)
            taken = tx.execute(sa.delete(tallies).returning(*fields)).all()
        return sorted((*row[:4], round(row[4], 3)) for row in taken)

    return counted


def test_each_counts(counted: Callable[[sa.Executable], list[Tally]]) -> None:
    for deed, expected in DEEDS:
        assert counted(deed) == sorted(expected.values()), str(deed)
