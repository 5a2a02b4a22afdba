"""Where a question is shown: at the destination that is asked, and at whatever got the story in its place.

Every function takes an open transaction.
"""

from collections.abc import Mapping

import sqlalchemy as sa

from service.domain.states import StepKind
from service.ledger.tables import steps


def shown_at(tx: sa.Connection, story: int, revision: int, asked: str) -> list[str]:
    """The destination that is asked, then its fallback where that got this revision instead, then that one's."""
    instead = _instead(tx, story, revision)
    found = [asked]
    for name in found:  # grows as it goes
        found += [one for one, failed in instead.items() if failed == name and one not in found]
    return found


def stands_for(tx: sa.Connection, story: int, revision: int, destination: str) -> list[str]:
    """The destination itself, and all in whose place it got this revision."""
    instead = _instead(tx, story, revision)
    found = [destination]
    while (failed := instead.get(found[-1])) is not None and failed not in found:
        found.append(failed)
    return found


def _instead(tx: sa.Connection, story: int, revision: int) -> Mapping[str, str]:
    """Who got the story → who could not be given it."""
    query = sa.select(steps.c.destination, steps.c.instead_of).where(
        steps.c.story == story,
        steps.c.kind == StepKind.DELIVER,
        steps.c.revision == revision,
        steps.c.instead_of.is_not(None),
    )
    return {row.destination: row.instead_of for row in tx.execute(query)}
