from datetime import UTC, datetime

import pytest

from service.web.ledger_keys import HIGHEST_KEY, ledger_key, place_in_time, written_place

NO_KEYS = ["", "-1", "x", "1.5", "1_0", "٣", "²", str(2**63), "0" * 20 + "9" * 30, "9" * 5000]
NOON = "2026-03-01T12:00:00Z"
NO_PLACES = ["", "_", "7", NOON, f"{NOON}_", *(f"{NOON}_{key}" for key in NO_KEYS)]
NO_TIMES = ["2026-03-01T12:00:00_7", "1969-12-31T23:59:59Z_7", "9999-01-01T00:00:00Z_7"]


def test_a_key_is_what_a_database_can_have() -> None:
    assert [ledger_key(text) for text in ("0", "7", str(HIGHEST_KEY))] == [0, 7, HIGHEST_KEY]
    for text in NO_KEYS:
        with pytest.raises(ValueError, match="no key"):
            ledger_key(text)


def test_a_place_is_read_as_it_was_written() -> None:
    at = datetime(2026, 3, 1, 12, 0, 0, 250, UTC)
    assert place_in_time(written_place(at, 7)) == (at, 7)


@pytest.mark.parametrize("text", [*NO_PLACES, *NO_TIMES])
def test_a_place_that_was_made_up_is_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  Python's own, or ours
        place_in_time(text)
