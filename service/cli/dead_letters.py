"""What was given up and waits for a person, by the names that people know."""

from dataclasses import dataclass

import sqlalchemy as sa

from service.cli.output import plain
from service.domain.states import StepKind, StepState
from service.ledger.tables import steps, stories


@dataclass(frozen=True)
class DeadLetter:
    """A step that was given up; `story` is '' for a notice of none, `destination` where there is none."""

    story: str
    destination: str

    @property
    def shown(self) -> str:
        """The story, and where it did not arrive."""
        place = f"to {self.destination}" if self.destination else ""
        return " ".join(filter(None, (plain(self.story), place))) or "of no story"


def dead_letters(tx: sa.Connection, kind: StepKind, limit: int) -> list[DeadLetter]:
    """The steps of that kind that were given up, the newest first, at most `limit`."""
    name = sa.func.coalesce(stories.c.story_id, stories.c.submission_id, "")
    query = (
        sa.select(name, steps.c.destination)
        .outerjoin_from(steps, stories, stories.c.id == steps.c.story)
        .where(steps.c.kind == kind, steps.c.state == StepState.DEAD)
        .order_by(steps.c.ended_at.desc(), steps.c.id.desc())
        .limit(limit)
    )
    return [DeadLetter(story, destination) for story, destination in tx.execute(query)]
