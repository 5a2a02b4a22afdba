from datetime import UTC, datetime, timedelta

import pytest

from service.domain.states import Origin, StoryState
from service.ledger import Ledger, stories
from service.ledger.stories import NewStory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def story(ledger: Ledger) -> int:
    with ledger.write() as tx:
        key = stories.add(
            tx,
            NewStory("sub-1", Origin.TRACKED, StoryState.OPEN, story_id="story-1", next_poll_at=NOON),
            NOON,
        )
    assert key is not None
    return key
