"""Figures of a run: medians of rounds, their spread, and the marks that they have to reach."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One figure, a value for each round.

    `at_least` and `at_most` are the mark, where there is one; `remark` says under what conditions it was taken.
    """

    name: str
    values: Sequence[float]
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    remark: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def is_reached(self) -> bool:
        """Whether the median reaches the mark; True where there is none."""
        if self.at_least is not None and self.median < self.at_least:
            return False
        return self.at_most is None or self.median <= self.at_most

    @property
    def mark(self) -> str:
        """The mark for people."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return "" if self.at_most is None else f"≤ {self.at_most:g}"

    def line(self) -> str:
        """One line for people."""
        spread = f"({_short(min(self.values))}–{_short(max(self.values))}, n={len(self.values)})"
        verdict = f"{self.mark:<8}{'reached' if self.is_reached else 'MISSED'}" if self.mark else ""
        text = f"{self.name:<54}{_short(self.median):>8} {self.unit:<4}{spread:<24}{verdict}".rstrip()
        return f"{text}\n    {self.remark}" if self.remark else text

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            **asdict(self),
            "values": list(self.values),
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "reached": self.is_reached,
        }


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
