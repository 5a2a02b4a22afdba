"""Deliveries that were taken back before they were made, or before they reached their destination.

Every function takes an open transaction; those that write need the story locked.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from service.domain.states import Intent, StepKind, StepState
from service.domain.steps import ClaimedStep, LeaseLost
from service.ledger.engine import insert
from service.ledger.tables import steps

NEVER_BEGUN = "withdrawn before it was published"


def begin(tx: sa.Connection, step: ClaimedStep, now: datetime) -> bool:
    """Notes that the destination is about to be called, so that from now on a withdrawal has to ask it.

    False when the story is to be withdrawn by now, so that it must not be called. Raises LeaseLost.
    """
    held = (
        steps.c.id == step.id,
        steps.c.generation == step.generation,
        steps.c.state == StepState.RUNNING,
    )
    begun = sa.update(steps).where(*held, steps.c.intent == Intent.PUBLISH)
    if tx.execute(begun.values(begun_at=now)).rowcount == 1:
        return True
    if tx.execute(sa.select(steps.c.id).where(*held)).one_or_none() is None:
        raise LeaseLost
    return False


def has_begun(tx: sa.Connection, step: ClaimedStep) -> bool:
    """Whether the destination was ever called to publish the story, in any revision."""
    called = sa.exists().where(
        *_delivers(step.story_key),
        steps.c.destination == step.lane.destination,
        steps.c.begun_at.is_not(None),
    )
    return bool(tx.execute(sa.select(called)).scalar_one())


def cancel(tx: sa.Connection, ids: Sequence[int], now: datetime) -> None:
    """Ends deliveries that never reached their place: nothing is to take back, and no later revision to come."""
    tx.execute(
        sa.update(steps)
        .where(steps.c.id.in_(ids))
        .values(
            state=StepState.CANCELLED,
            intent=Intent.WITHDRAW,
            next_at=None,
            waiting_for=None,
            ended_at=now,
            remark=NEVER_BEGUN,
            last_error=None,
        )
    )


def forbid(tx: sa.Connection, story: int, revision: int, route: str, destination: str, now: datetime) -> None:
    """Makes the withdrawal of a delivery that is not made yet: it stands where the delivery would."""
    tx.execute(
        insert(tx, steps)
        .values(
            story=story,
            kind=StepKind.DELIVER,
            destination=destination,
            revision=revision,
            route=route,
            state=StepState.CANCELLED,
            intent=Intent.WITHDRAW,
            remark=NEVER_BEGUN,
            created_at=now,
            ended_at=now,
        )
        .on_conflict_do_nothing()
    )


def allow(tx: sa.Connection, story: int, since: int, destinations: Sequence[str] = ()) -> list[str]:
    """Forgets that the story was withdrawn before it was published, from these destinations or from any.

    `since`: the first revision that this is about. Returns from which it was: there its routes decide anew.
    """
    forgotten = sa.delete(steps).where(*_forbidden(story), steps.c.revision >= since)
    if destinations:
        forgotten = forgotten.where(steps.c.destination.in_(destinations))
    return sorted(set(tx.execute(forgotten.returning(steps.c.destination)).scalars()))


def forget_unrouted(tx: sa.Connection, story: int, revision: int, routed: Collection[str]) -> None:
    """Forgets withdrawals from places to which the revision, now that its video is here, was not to go anyway.

    Those that belong to no route stay: a person named them.
    """
    tx.execute(
        sa.delete(steps).where(
            *_forbidden(story),
            steps.c.revision == revision,
            steps.c.route != "",
            steps.c.destination.not_in(list(routed)),
        )
    )


def pass_on(tx: sa.Connection, story: int, to: int, now: datetime) -> None:
    """Has another row of the same story keep what was withdrawn before it was published."""
    query = sa.select(steps.c.revision, steps.c.route, steps.c.destination).where(*_forbidden(story))
    for row in tx.execute(query).all():
        forbid(tx, to, row.revision, row.route, row.destination, now)


def forget_publication(tx: sa.Connection, step: ClaimedStep) -> None:
    """Notes that nothing of the story stands at the destination any more, of no revision."""
    there = (*_delivers(step.story_key), steps.c.destination == step.lane.destination)
    gone: Mapping[str, None] = {"url": None, "reference": None}
    tx.execute(sa.update(steps).where(*there, steps.c.revision < step.revision).values(gone))
    tx.execute(sa.update(steps).where(*there, steps.c.revision <= step.revision).values(begun_at=None))


def _forbidden(story: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        *_delivers(story),
        steps.c.state == StepState.CANCELLED,
        steps.c.intent == Intent.WITHDRAW,
        steps.c.generation == 0,
        steps.c.begun_at.is_(None),
    )


def _delivers(story: int) -> tuple[sa.ColumnElement[bool], ...]:
    return steps.c.story == story, steps.c.kind == StepKind.DELIVER
