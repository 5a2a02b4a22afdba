"""Which deliveries wait for a person's answer, as a story's page and `show` tell it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from relayed import START, World, make_world
from stories_told import Told, told_in

from service.domain.approvals import ApprovalTimes
from service.domain.states import Intent, StepKind, StepState, StoryState
from service.ledger import approvals
from service.ledger.dossier import Dossier, read_dossier


@pytest.fixture
def world(tmp_path: Path, database_url: str) -> Iterator[World]:
    made = make_world(tmp_path, database_url, "", {})
    yield made
    made.relay.ledger.close()


@pytest.fixture
def told(world: World) -> Told:
    return told_in(world)


def waiting(world: World) -> dict[str, str]:
    """Who is asked, by the destination whose delivery waits for it."""
    dossier = read(world)
    asked = {step.destination: dossier.question_of(step) for step in dossier.steps}
    return {name: row.destination for name, row in asked.items() if row is not None}


def read(world: World) -> Dossier:
    with world.relay.ledger.read() as tx:
        return read_dossier(tx, world.story("story-1"))


def ask(world: World, key: int, route: str) -> None:
    with world.relay.ledger.write() as tx:
        approvals.ask(tx, key, 1, {route: "team"}, ApprovalTimes(), START)


def test_later_destinations_of_the_asked_route_wait(told: Told, world: World) -> None:
    key = told.story(StoryState.SETTLING)
    later: dict[str, dict[str, Any]] = {
        "team": {},
        "cms": {"next_at": START + timedelta(days=3)},
        "desk": {"instead_of": "team"},
        "gone": {"intent": Intent.WITHDRAW},
    }
    for name, values in later.items():
        told.step(key, StepKind.DELIVER, name, StepState.PENDING, **values)
    told.step(key, StepKind.ASK, "team", StepState.PENDING)
    ask(world, key, "another")
    assert waiting(world) == {}
    ask(world, key, "all")
    assert waiting(world) == {"cms": "team"}
