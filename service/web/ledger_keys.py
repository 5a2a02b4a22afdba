"""Keys of the ledger in addresses and pages' turns: what no database could have is no key."""

from datetime import datetime

HIGHEST_KEY = 2**63 - 1


def ledger_key(text: str) -> int:
    """The key that a text says, 0 for the one before the first. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= HIGHEST_KEY):
        raise ValueError("this is no key of the ledger")
    return int(text)


def written_place(at: datetime, key: int) -> str:
    """A place in a list in order of time, such as `2026-03-01T12:00:00.000000Z_7`; `at` is UTC."""
    return f"{at.strftime('%Y-%m-%dT%H:%M:%S.%fZ')}_{key}"


def place_in_time(text: str) -> tuple[datetime, int]:
    """The time and the key of a written place. Raises ValueError."""
    at, _, key = text.rpartition("_")
    moment = datetime.fromisoformat(at)
    if (
        moment.tzinfo is None or not 1970 <= moment.year < 2200
    ):  # what the databases and their drivers all take
        raise ValueError("this is no time of the ledger")
    return moment, ledger_key(key)
