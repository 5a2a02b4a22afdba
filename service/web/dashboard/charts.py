"""Charts, drawn as SVG by the templates: here is where everything goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 560.0, 120.0
_GAP = 4.0


@dataclass(frozen=True)
class Bar:
    """One bar, in the units of the drawing (560 wide, 120 high, y from the top), with its value and day.

    `part` names what it stands for where several stand on one another.
    """

    x: float
    y: float
    width: float
    height: float
    value: float
    day: date
    part: str = ""


@dataclass(frozen=True)
class Point:
    """A day's value in a line, in the units of the drawing."""

    x: float
    y: float
    value: float
    day: date


def bars(values: Sequence[tuple[date, float]]) -> list[Bar]:
    """A bar for each day; the highest reaches the top."""
    return stacks([(day, {"": value}) for day, value in values])


def stacks(values: Sequence[tuple[date, Mapping[str, float]]]) -> list[Bar]:
    """For each day its parts on one another, the first at the bottom; the highest stack reaches the top."""
    most = max((sum(parts.values()) for _, parts in values), default=0.0) or 1.0
    step = WIDTH / max(len(values), 1)
    drawn = []
    for number, (day, parts) in enumerate(values):
        top = HEIGHT
        for part, value in parts.items():
            height = HEIGHT * value / most
            top -= height
            x, width = round(number * step + _GAP / 2, 2), round(step - _GAP, 2)
            drawn.append(Bar(x, round(top, 2), width, round(height, 2), value, day, part))
    return drawn


def points(values: Sequence[tuple[date, float | None]], most: float) -> list[Point]:
    """The days that have a value, in the middle of their day's width; `most` is at the top."""
    step = WIDTH / max(len(values), 1)
    return [
        Point(round((number + 0.5) * step, 2), round(HEIGHT - HEIGHT * value / (most or 1.0), 2), value, day)
        for number, (day, value) in enumerate(values)
        if value is not None
    ]
