"""What a look at one part of the set-up finds."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """`WARN`: it works, but somebody should look; `FAIL`: stories are held up by it."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One line of `doctor`: which part, how it stands, what was seen, and what to do."""

    part: str
    status: Status
    text: str
    advice: str = ""


def ok(part: str, text: str) -> Finding:
    """All is well."""
    return Finding(part, Status.OK, text)


def warn(part: str, text: str, advice: str) -> Finding:
    """Somebody should look."""
    return Finding(part, Status.WARN, text, advice)


def fail(part: str, text: str, advice: str) -> Finding:
    """Stories are held up."""
    return Finding(part, Status.FAIL, text, advice)
