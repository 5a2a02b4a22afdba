"""How often something may be done: so many times in so many seconds."""

import re
from dataclasses import dataclass

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_RATE = re.compile(r"\s*(\d{1,6})\s*/\s*(\d{0,6})\s*(s|min|h|d)\s*", re.ASCII)


@dataclass(frozen=True)
class Rate:
    """At most `count` (1 or more) times in `seconds`."""

    count: int
    seconds: float

    def __str__(self) -> str:
        unit = max(
            (name for name in _UNITS if self.seconds % _UNITS[name] == 0), key=lambda name: _UNITS[name]
        )
        many = round(self.seconds / _UNITS[unit])
        return f"{self.count}/{many if many != 1 else ''}{unit}"


def parse_rate(text: str) -> Rate:
    """Reads `1/s`, `30/min`, `500/h`, `50/d`, or `1/10s` for once in ten seconds. Raises ValueError."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError("should be a number and a time, such as '1/s', '30/min', '500/h' or '1/10s'")
    rate = Rate(int(found[1]), float(found[2] or 1) * _UNITS[found[3]])
    if rate.count == 0 or rate.seconds == 0:
        raise ValueError("should be more than nothing, such as '1/s'")
    return rate
