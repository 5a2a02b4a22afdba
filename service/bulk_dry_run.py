"""What a replay of many stories would do, looked at beforehand."""

from dataclasses import dataclass

from service.domain.bulk_replays import Choice, Plan, how_many
from service.ledger.stories import StoryRow


@dataclass(frozen=True)
class Example:
    """One chosen story and where it would go."""

    story: StoryRow
    plan: Plan


@dataclass(frozen=True)
class DryRun:
    """What a bulk replay would do.

    `total` stories are chosen, or more where that is not `exact`; of the first `looked_at`, `replayed` would be
    replayed, `skipped` gives the reasons for the others, and `differ` would go elsewhere than then: `gone` and `new`
    count them by destination.
    """

    choice: Choice
    total: int
    exact: bool
    looked_at: int
    replayed: int
    skipped: dict[str, int]
    differ: int
    gone: dict[str, int]
    new: dict[str, int]
    examples: tuple[Example, ...]

    @property
    def chosen(self) -> str:
        """How many stories are chosen, for people."""
        return how_many(self.total, exact=self.exact)
