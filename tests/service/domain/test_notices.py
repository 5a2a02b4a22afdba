"""When people are told and of what: quiet hours, the hour between two messages, who hears which kind."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from service.domain.notice_words import gathered
from service.domain.notices import Audience, NoticeKind, Quiet, Told, Trouble
from service.domain.opening_hours import Hours, OpeningHours

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Quiet(OpeningHours(BERLIN, hours=(Hours(22 * 60, 7 * 60),)), frozenset({"key_refused"}))
LUNCH = Quiet(OpeningHours(BERLIN, hours=(Hours(12 * 60, 13 * 60 + 30),)))


def at(text: str) -> datetime:
    """A moment by Berlin's clocks."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("quiet", "now", "until"),
    [
        (NIGHT, "2026-03-01T21:59", None),
        (NIGHT, "2026-03-01T22:00", "2026-03-02T07:00"),
        (NIGHT, "2026-03-02T06:59", "2026-03-02T07:00"),
        (NIGHT, "2026-03-02T07:00", None),
        (NIGHT, "2026-03-28T23:00", "2026-03-29T07:00"),  # an hour shorter
        (NIGHT, "2026-10-24T23:00", "2026-10-25T07:00"),  # an hour longer
        (LUNCH, "2026-03-01T12:30", "2026-03-01T13:30"),
        (LUNCH, "2026-03-01T13:30", None),
    ],
)
def test_quiet_hours_end_by_the_clocks_there(quiet: Quiet, now: str, until: str | None) -> None:
    assert quiet.until(at(now), "story_failed") == (None if until is None else at(until))


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-10-25T00:10+00:00", "2026-10-25T00:30+00:00"),  # 02:10, the first time
        ("2026-10-25T01:10+00:00", "2026-10-25T01:30+00:00"),  # 02:10, the second time
        ("2026-10-25T01:30+00:00", None),
        ("2026-10-25T00:40+00:00", None),
        ("2026-03-29T00:40+00:00", "2026-03-29T01:30+00:00"),  # 01:40: on that night there is no 02:30
    ],
)
def test_an_end_in_an_hour_that_comes_twice_or_never(now: str, until: str | None) -> None:
    quiet = Quiet(OpeningHours(BERLIN, hours=(Hours(22 * 60, 2 * 60 + 30),)))
    wanted = None if until is None else datetime.fromisoformat(until)
    assert quiet.until(datetime.fromisoformat(now), "story_failed") == wanted


def test_what_is_loud_is_told_at_night_and_so_is_its_end() -> None:
    now = at("2026-03-01T23:00")
    assert NIGHT.until(now, "key_refused") is None
    assert (
        NIGHT.until(now, Trouble("", NoticeKind.RESOLVED, "", "", ends=NoticeKind.KEY_REFUSED).group) is None
    )
    assert NIGHT.until(now, "resolved/disk_low") is not None


def test_a_destination_is_told_of_its_own_trouble_only_where_no_other_is() -> None:
    off = Trouble("", NoticeKind.LANE_OFF, "", "", about="team")
    assert Audience(("team", "desk")).hears(off) == ["desk"]
    assert Audience(("team",)).hears(off) == ["team"]
    assert Audience(("team", "desk"), only={"desk": frozenset({"disk_low"})}).hears(off) == ["team"]


def test_the_next_turn_is_an_hour_after_the_last() -> None:
    now = at("2026-03-01T12:00")
    assert Audience(("team",)).next_turn(None) is None
    assert Audience(("team",)).next_turn(now) == now + timedelta(hours=1)
    assert Audience(("team",), every=None).next_turn(now) is None


def told(number: int, title: str = "Failed", text: str = "why", remark: str = "") -> Told:
    return Told(number, "story_failed", title, text, None, at("2026-03-01T12:00"), remark)


def test_one_is_told_whole() -> None:
    assert gathered([told(1, text="a\nb", remark="team could not be told")], "/notices") == (
        "Failed",
        "a\nb\n(team could not be told.)",
    )


@pytest.mark.parametrize("kind", list(NoticeKind))
def test_several_of_any_kind_have_a_title_with_their_number(kind: NoticeKind) -> None:
    several = [Told(number, kind, "t", "", None, at("2026-03-01T12:00")) for number in range(3)]
    title, text = gathered(several, "https://x/notices")
    assert title.startswith("3 ")
    assert title.endswith(" since 2026-03-01 11:00 UTC")
    assert text.splitlines() == ["• t"] * 3 + ["All of them: https://x/notices"]


def test_long_ones_are_cut_and_the_rest_is_counted() -> None:
    _, text = gathered([told(number, "x" * 400) for number in range(7)], "https://x/notices")
    lines = text.splitlines()
    assert {len(line) for line in lines[:5]} == {302}
    assert lines[5:] == ["… and 2 more: https://x/notices"]
