"""Times as forms send them: `<input type="datetime-local">`, which people fill in UTC here."""

from collections.abc import Mapping
from datetime import UTC, datetime


class NoTime(ValueError):
    """What a field holds is no time; the message says which field."""


def read_time(form: Mapping[str, str], name: str) -> datetime | None:
    """The aware time in the field of that name, None where it is empty. Raises NoTime."""
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise NoTime(f"“{name}” should be a time such as 2026-03-01T18:00") from error
