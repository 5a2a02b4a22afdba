from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from service.domain.opening_hours import DAYS, Hours, OpeningHours

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Hours(8 * 60, 18 * 60)
NIGHT = Hours(22 * 60, 6 * 60)


def berlin(text):
    """A moment, in UTC, by what Berlin's clocks show: `2026-06-05 23:00`, Fridays being the 5th and 12th of June."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def only(day, *hours):
    return OpeningHours(BERLIN, frozenset({DAYS.index(day)}), hours)


@pytest.mark.parametrize(
    ("at", "is_open"),
    [("07:59", False), ("08:00", True), ("12:00", True), ("17:59", True), ("18:00", False), ("00:00", False)],
)
def test_the_end_does_not_belong_to_the_hours(at, is_open):
    assert OpeningHours(BERLIN, hours=(OFFICE,)).are_open(berlin(f"2026-06-05 {at}")) is is_open


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-06-05 05:00", False),  # Thursday's night
        ("2026-06-05 21:59", False),
        ("2026-06-05 22:00", True),
        ("2026-06-06 00:00", True),
        ("2026-06-06 05:59", True),
        ("2026-06-06 06:00", False),
        ("2026-06-06 22:00", False),
    ],
)
def test_hours_past_midnight_belong_to_the_day_on_which_they_begin(at, is_open):
    assert only("fri", NIGHT).are_open(berlin(at)) is is_open


def test_sunday_night_reaches_into_monday():
    assert only("sun", NIGHT).are_open(berlin("2026-06-08 01:00"))
    assert not only("sun", NIGHT).are_open(berlin("2026-06-07 01:00"))


def test_whole_days_change_at_the_midnight_of_their_own_clocks():
    friday = OpeningHours(BERLIN, frozenset({4}))
    assert friday.are_open(datetime(2026, 6, 4, 22, 0, tzinfo=UTC))
    assert not friday.are_open(datetime(2026, 6, 5, 22, 0, tzinfo=UTC))


def test_hours_until_midnight():
    late = only("fri", Hours(22 * 60, 24 * 60))
    assert late.are_open(berlin("2026-06-05 23:59"))
    assert not late.are_open(berlin("2026-06-06 00:00"))
    assert [late.are_open(berlin(f"2026-06-05 {at}")) for at in ("21:59", "22:00")] == [False, True]
    assert not only("fri", Hours(22 * 60, 0)).are_open(berlin("2026-06-06 00:00"))


@pytest.mark.parametrize(
    ("day", "minutes"),
    [
        (datetime(2026, 6, 5, tzinfo=UTC), 600),
        (datetime(2026, 3, 29, tzinfo=UTC), 600),  # clocks go forward at 02:00
        (datetime(2026, 10, 25, tzinfo=UTC), 600),  # clocks go back at 03:00
    ],
)
def test_office_hours_are_as_long_on_the_days_when_clocks_are_changed(day, minutes):
    office = OpeningHours(BERLIN, hours=(OFFICE,))
    assert sum(office.are_open(day + timedelta(minutes=count)) for count in range(24 * 60)) == minutes


def test_the_same_clock_time_is_another_moment_in_summer():
    office = OpeningHours(BERLIN, hours=(OFFICE,))
    assert not office.are_open(datetime(2026, 3, 28, 6, 30, tzinfo=UTC))
    assert office.are_open(datetime(2026, 3, 29, 6, 30, tzinfo=UTC))


def test_the_hour_that_is_skipped_never_comes_and_the_one_that_comes_twice_counts_twice():
    two_to_three = OpeningHours(BERLIN, hours=(Hours(120, 180),))

    def minutes(day):
        return sum(two_to_three.are_open(day + timedelta(minutes=count)) for count in range(24 * 60))

    assert minutes(datetime(2026, 3, 29, tzinfo=UTC)) == 0
    assert minutes(datetime(2026, 10, 25, tzinfo=UTC)) == 120


def test_they_are_written_as_people_read_them():
    both = OpeningHours(BERLIN, frozenset({4, 0}), (OFFICE, NIGHT))
    assert str(both) == "mon, fri 08:00-18:00, 22:00-06:00 in Europe/Berlin"
    assert str(OpeningHours(ZoneInfo("UTC"))) == "00:00-24:00 in UTC"
    assert both.moment(datetime(2026, 6, 5, 21, 30, tzinfo=UTC)) == "fri 23:30 in Europe/Berlin"
