from datetime import timedelta

import sqlalchemy as sa

from service.domain.states import StoryState
from service.ledger.tables import stories
from service.pruning import KINDS


def test_prune_counts_first_and_deletes_then(home, book, now):
    old = book.story("old", StoryState.SETTLED, created_at=now - timedelta(days=90))
    with home.ledger.write() as tx:
        tx.execute(sa.update(stories).where(stories.c.id == old).values(updated_at=now - timedelta(days=90)))
    book.story("young", StoryState.SETTLED)
    wanted = home.json("prune", "--dry-run", STORYRELAY_KEEP_STORIES_DAYS="30")
    assert wanted["dry_run"] is True
    assert wanted["pruned"] == {**dict.fromkeys(KINDS, 0), "stories": 1}
    assert (wanted["kept_days"]["stories"], wanted["kept_days"]["videos"]) == (30, None)
    assert home.json("prune", STORYRELAY_KEEP_STORIES_DAYS="30")["pruned"]["stories"] == 1
    result = home.done("prune", "--dry-run")
    assert "for ever" in result.stdout
    assert "whole stories" in result.stdout
