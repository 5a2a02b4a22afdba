"""The steps that tell people of notices, found by what they tell of."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from service.domain.states import ENDED_STEPS, StepKind, StepState
from service.ledger.tables import notices, steps
from service.ledger.telling_tables import telling_notices, tellings


def of_story(story: Any) -> sa.Select[Any]:
    """The steps that tell of the story; of several stories, maybe."""
    return (
        sa.select(tellings.c.step)
        .join(telling_notices, telling_notices.c.telling == tellings.c.id)
        .join(notices, notices.c.id == telling_notices.c.notice)
        .where(notices.c.story == story)
    )


def are_open(notice: Any) -> sa.ColumnElement[bool]:
    """Whether somebody is still to be told of the notice."""
    return sa.exists().where(
        telling_notices.c.notice == notice,
        tellings.c.id == telling_notices.c.telling,
        steps.c.id == tellings.c.step,
        steps.c.state.not_in(ENDED_STEPS),
    )


def drop_empty(tx: sa.Connection, step_ids: Collection[int]) -> None:
    """Deletes those of the steps whose notices are all gone; one that is running finds nothing to tell by itself."""
    has_notices = sa.exists().where(tellings.c.step == steps.c.id, telling_notices.c.telling == tellings.c.id)
    empty = steps.c.kind == StepKind.NOTIFY, steps.c.state != StepState.RUNNING, ~has_notices
    tx.execute(sa.delete(steps).where(steps.c.id.in_(step_ids), *empty))


def steps_telling(tx: sa.Connection, keys: Sequence[int]) -> list[int]:
    """The steps that tell any of these notices."""
    query = sa.select(tellings.c.step).join(telling_notices, telling_notices.c.telling == tellings.c.id)
    return list(tx.execute(query.where(telling_notices.c.notice.in_(keys)).distinct()).scalars())
