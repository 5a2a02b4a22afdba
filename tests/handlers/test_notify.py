from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from relayed import World, make_world

from service.domain.notices import NoticeKind, Trouble
from service.ledger import notices
from service.ledger.tables import steps as table

TOML = """
[destinations.team]
connector = "archive"
path = "not-a-folder/team"
[destinations.desk]
connector = "archive"
path = "{desk}"
[notices]
destinations = ["team"]
fallback = "desk"
"""


@pytest.fixture(params=["desk", "not-a-folder/desk"])
def world(tmp_path: Path, database_url: str, request: pytest.FixtureRequest) -> Iterator[World]:
    (tmp_path / "not-a-folder").write_text("")
    world = make_world(
        tmp_path,
        database_url,
        TOML.replace("{desk}", request.param),
        {"STORYRELAY_RETRY_SCHEDULE": "1", "STORYRELAY_CIRCUIT_TRIES": "1000"},
    )
    yield world
    world.relay.ledger.close()


def test_the_fallback_is_told_once_and_has_none_itself(world: World) -> None:
    with world.relay.ledger.write() as tx:
        trouble = Trouble("k", NoticeKind.STORY_FAILED, "It failed", "why")
        notices.add(tx, trouble, world.relay.configuration.notices, world.clock())
    for _ in range(5):
        world.run()
        world.clock.move(3600)
    with world.relay.ledger.read() as tx:
        ended = dict(tx.execute(sa.select(table.c.destination, table.c.state)).tuples().all())
        told = tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    desk = world.relay.configuration.destinations["desk"].written["path"]
    assert ended == {"team": "dead", "desk": "done" if desk == "desk" else "dead"}
    assert told == 2
