"""The daily digest: its numbers, once a day whoever makes it, and to whom it goes."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from killed import after, killed_at
from relayed import World, make_world

from service.digesting import look_back, send_due
from service.domain.digest import Day, Named
from service.domain.notices import NoticeKind, Trouble
from service.domain.states import Origin, StoryState
from service.ledger import digests, notices, stories, tellings, troubles
from service.ledger.stories import NewStory
from service.ledger.tables import stories as table
from service.stand_ins.mailbox import Mailbox

BERLIN = ZoneInfo("Europe/Berlin")
TOML = """
[destinations.desk]
connector = "email"
host = "127.0.0.1"
port = {smtp}
security = "none"
from = "a@example.com"
to = ["b@example.com"]
rate = "1000/s"
[notices]
destinations = ["desk"]
[notices.only]
desk = ["disk_low"]
[notices.quiet]
from = "07:00"
to = "09:00"
timezone = "Europe/Berlin"
[notices.digest]
at = "08:00"
timezone = "Europe/Berlin"
destinations = ["desk"]
"""


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


@pytest.fixture
def make(tmp_path: Path, database_url: str, mailbox: Mailbox) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(more: str = "", url: str = database_url) -> World:
        made.append(make_world(tmp_path, url, TOML.format(smtp=mailbox.port) + more, {}))
        made[-1].clock.time = datetime(2026, 3, 2, 7, tzinfo=UTC)  # eight in Berlin
        return made[-1]

    yield make
    for world in made:
        world.relay.ledger.close()


def story(world: World, name: str, created: str, state: StoryState, **values: Any) -> int:
    """A story that came in at this moment by Berlin's clocks."""
    at = datetime.fromisoformat(created).replace(tzinfo=BERLIN)
    with world.relay.ledger.write() as tx:
        new = NewStory(name, Origin.SUBMITTED, state, story_id=name, title=name)
        key = stories.add(tx, new, at)
        assert key is not None
        moments = {
            each: at + timedelta(seconds=seconds) for each, seconds in values.items() if each != "used"
        }
        changes = {**moments, "used_credits": values.get("used")}
        tx.execute(sa.update(table).where(table.c.id == key).values(**changes))
        return int(key)


def letters(mailbox: Mailbox) -> list[tuple[str, str]]:
    found = []
    for mail in mailbox.messages:
        body = mail.message.get_body(("plain",))
        assert body is not None
        found.append((str(mail.message["Subject"]).strip(), body.get_content().replace("\r\n", "\n")))
    return found


def test_the_numbers_are_those_of_the_local_day(make: Callable[..., World]) -> None:
    world = make()
    done = {"finished_at": 10, "webhook_at": 8, "published_at": 12}
    story(world, "the day before", "2026-02-28T23:59", StoryState.SETTLED, used=99)
    story(world, "first", "2026-03-01T00:00", StoryState.SETTLED, used=20, **done)
    story(
        world, "slow <b>", "2026-03-01T12:00", StoryState.SETTLED, used=30, finished_at=10, published_at=400
    )
    failed = story(world, "failed", "2026-03-01T23:59", StoryState.FAILED, finished_at=9)
    story(world, "today", "2026-03-02T00:00", StoryState.OPEN)
    with world.relay.ledger.write() as tx:
        for at, key in ((datetime(2026, 3, 1, 22, tzinfo=UTC), "in"), (world.clock(), "out")):
            trouble = Trouble(key, NoticeKind.STORY_FAILED, f"Story failed: {key}", "", failed)
            notices.add(tx, trouble, world.relay.configuration.notices, at)
        troubles.begin(tx, Trouble("", NoticeKind.DISK_LOW, "Full", ""), None, world.clock(), "var")
    numbers, title, text = look_back(world.relay, Day(date(2026, 3, 1), BERLIN))
    assert numbers.results == {"published": 2, "not published": 1}
    assert (numbers.credits, numbers.published, numbers.typical) == (50, 2, pytest.approx(4, rel=1e-3))
    assert numbers.slowest == pytest.approx(390, rel=1e-3)
    assert numbers.slowest_story == Named("slow <b>", "slow <b>")
    assert (numbers.finished, numbers.missed) == (3, 2)
    assert (numbers.noted, list(numbers.worst)) == (
        {"story_failed": 1},
        [Named("Story failed: in", "failed")],
    )
    assert [name for name, _ in numbers.troubles] == ["Full"]
    assert title == "Sunday, 1 March 2026: 3 stories, 2 published, 1 not published"
    assert "the slowest 6 minutes.\n• slow <b>: https://relay.example/stories/slow%20%3Cb%3E" in text


def test_it_comes_once_a_day_at_its_hour_in_quiet_hours_and_to_who_hears_nothing_else(
    make: Callable[..., World], mailbox: Mailbox
) -> None:
    world = make()
    world.clock.move(-60)
    assert not send_due(world.relay)
    world.clock.move(60)
    assert [send_due(world.relay) for _ in range(3)] == [True, False, False]
    world.run()
    ((subject, text),) = letters(mailbox)
    assert subject == "[Storyrelay] Sunday, 1 March 2026: a quiet day"
    assert text.startswith(
        "No story came in, nothing failed, nothing is troubling.\nhttps://relay.example/\n"
    )
    world.clock.move(23 * 3600)
    assert not send_due(world.relay)
    world.clock.move(9 * 3600)
    assert send_due(world.relay), "late, for nobody was there at eight"
    world.run()
    assert letters(mailbox)[1][0] == "[Storyrelay] Monday, 2 March 2026: a quiet day"


def test_an_empty_day_may_be_skipped(make: Callable[..., World], mailbox: Mailbox) -> None:
    world = make('when_empty = "skip"\n')
    assert [send_due(world.relay) for _ in range(2)] == [True, False]
    world.run()
    assert letters(mailbox) == []


def test_on_the_days_of_summer_time_it_comes_at_eight_by_the_clocks(make: Callable[..., World]) -> None:
    world = make()
    for day, hour in (("2026-03-29", 6), ("2026-10-25", 7)):  # in UTC
        world.clock.time = datetime.fromisoformat(f"{day}T00:00+00:00") + timedelta(hours=hour, minutes=-1)
        assert not send_due(world.relay)
        world.clock.move(60)
        assert send_due(world.relay)


def test_a_killed_scheduler_sends_it_once(
    make: Callable[..., World], mailbox: Mailbox, sqlite_url: str
) -> None:
    world = make(url=sqlite_url)
    for point in ((notices, "record", after(notices.record)), (tellings, "join", after(tellings.join))):
        killed_at(*point, lambda: send_due(world.relay))
    assert [send_due(world.relay) for _ in range(2)] == [True, False]
    world.run()
    assert len(letters(mailbox)) == 1


def test_a_day_is_found_by_indexes(make: Callable[..., World], sqlite_url: str) -> None:
    world = make(url=sqlite_url)
    asked: list[tuple[str, Any]] = []
    with world.relay.ledger.read() as tx:
        sa.event.listen(tx, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
        digests.read(tx, Day(date(2026, 3, 1), BERLIN))
        reads = [each for each in asked if "stories." in each[0] or "notices." in each[0]]
        plans = [
            " ".join(str(row[3]) for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values))
            for text, values in reads
        ]
    for index in ("ix_stories_created_at", "ix_stories_finished_at", "ix_notices_created_at"):
        assert sum(index in plan for plan in plans) >= 1, plans
    assert not [plan for plan in plans if "SCAN stories" in plan or "SCAN notices" in plan]
