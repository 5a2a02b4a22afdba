"""Spans of numbers as people write them in a route's conditions."""

import math
import re
from dataclasses import dataclass

_NUMBER = r"(-?\d{1,15}(?:\.\d{1,15})?)"
_COMPARISON = re.compile(rf"\s*(<=|>=|<|>)\s*{_NUMBER}\s*", re.ASCII)
_FROM_TO = re.compile(rf"\s*{_NUMBER}?\s*\.\.\s*{_NUMBER}?\s*", re.ASCII)


@dataclass(frozen=True)
class Span:
    """The numbers from `least` to `most`; each end belongs to it unless it is open."""

    least: float = -math.inf
    most: float = math.inf
    is_open: bool = False

    def holds(self, number: float) -> bool:
        """Whether the number lies in the span."""
        if self.is_open:
            return self.least < number < self.most
        return self.least <= number <= self.most

    def __str__(self) -> str:
        equal = "" if self.is_open else "="
        if self.least == -math.inf:
            return f"<{equal} {self.most:.15g}"
        if self.most == math.inf:
            return f">{equal} {self.least:.15g}"
        return f"{self.least:.15g}..{self.most:.15g}"


def parse_span(text: str) -> Span | None:
    """Reads `<= 300`, `< 300`, `>= 5`, `> 5`, `10..30` (both ends belong to it), `10..` and `..30`.

    None for any other text. Raises ValueError for a span that holds no number.
    """
    compared = _COMPARISON.fullmatch(text)
    if compared:
        number = float(compared[2])
        is_open = len(compared[1]) == 1
        return Span(most=number, is_open=is_open) if "<" in compared[1] else Span(number, is_open=is_open)
    between = _FROM_TO.fullmatch(text)
    if between is None or (between[1] is None and between[2] is None):
        return None
    least, most = float(between[1] or -math.inf), float(between[2] or math.inf)
    if least > most:
        raise ValueError(f"ends before it begins: did you mean '{most:.15g}..{least:.15g}'?")
    return Span(least, most)
