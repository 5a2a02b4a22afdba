"""Charts, drawn as SVG by the templates: here is where everything goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 560.0, 120.0
_GAP = 4.0


@dataclass(frozen=True)
class Bar:
    """One bar, in the units of the drawing (560 wide, 120 high, y from the top), with its value and day."""

    x: float
    y: float
    width: float
    height: float
    value: float
    day: date


def bars(values: Sequence[tuple[date, float]]) -> list[Bar]:
    """A bar for each day; the highest reaches the top."""
    if not values:
        return []
    most = max(value for _, value in values) or 1.0
    step = WIDTH / len(values)
    return [
        Bar(
            round(number * step + _GAP / 2, 2),
            round(HEIGHT - HEIGHT * value / most, 2),
            round(step - _GAP, 2),
            round(HEIGHT * value / most, 2),
            value,
            day,
        )
        for number, (day, value) in enumerate(values)
    ]
