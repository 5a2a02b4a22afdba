"""Which stories were forgotten: by a digest of their id alone, so that a late webhook does not bring them back."""

import hashlib
from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from service.ledger.engine import insert
from service.ledger.retention_tables import forgotten_stories


def note(tx: sa.Connection, story_id: str | None, now: datetime) -> None:
    """Remembers that the story of that Story API id was forgotten."""
    if story_id is not None:
        row = insert(tx, forgotten_stories).values(digest=_digest(story_id), forgotten_at=now)
        tx.execute(row.on_conflict_do_nothing())


def among(tx: sa.Connection, story_ids: Collection[str]) -> set[str]:
    """Those of the ids whose stories were forgotten."""
    if not story_ids:
        return set()
    named = {_digest(story_id): story_id for story_id in story_ids}
    digest = forgotten_stories.c.digest
    return {named[found] for found in tx.execute(sa.select(digest).where(digest.in_(named))).scalars()}


def lift(tx: sa.Connection, story_id: str) -> None:
    """Lets the story in again: a person wants it."""
    tx.execute(sa.delete(forgotten_stories).where(forgotten_stories.c.digest == _digest(story_id)))


def _digest(story_id: str) -> str:
    return hashlib.sha256(story_id.encode()).hexdigest()
