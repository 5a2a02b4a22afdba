"""The daily digest in words, and the days of summer time."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from service.domain.digest import Day, Named, Numbers, words
from service.domain.notices import NoticeKind
from service.domain.results import RESULTS

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 2, 7, tzinfo=UTC)
DAY = Day(date(2026, 3, 1), BERLIN)
AT = "https://relay.example"


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-03-01", 24)])
def test_a_day_is_as_long_as_by_the_clocks_there(day: str, hours: int) -> None:
    meant = Day(date.fromisoformat(day), BERLIN)
    assert meant.ends - meant.begins == timedelta(hours=hours)


def test_a_full_day() -> None:
    numbers = Numbers(
        results={"under way": 1, "published": 9, "not published": 2},
        credits=480,
        published=9,
        typical=1.24,
        slowest=190,
        slowest_story=Named("The\nlighthouse", "sub_1"),
        finished=11,
        missed=1,
        noted={"story_failed": 2, "delivery_dead": 1},
        worst=[Named("Not delivered to cms: The lighthouse", "sub_1"), Named("x" * 300, "a/b")],
        troubles=[("Paused: deliveries to cms", NOW - timedelta(hours=3, minutes=10))],
        questions=1,
    )
    title, text = words(DAY, numbers, AT, NOW)
    assert title == "Sunday, 1 March 2026: 12 stories, 9 published, 2 not published, 1 under way"
    assert text.splitlines() == [
        "12 stories came in: 9 published, 2 not published, 1 under way. They cost 480 credits.",
        "From the news of 9 stories to the last destination: half within 1.2 s, the slowest 3 minutes.",
        "• The lighthouse: https://relay.example/stories/sub_1",
        "Webhooks: none came for 1 of 11 finished stories; polling found them.",
        "",
        "What people were told of: 1 delivery given up, 2 stories failed.",
        "• Not delivered to cms: The lighthouse: https://relay.example/stories/sub_1",
        f"• {'x' * 99}…: https://relay.example/stories/a%2Fb",
        "All of it: https://relay.example/notices",
        "",
        "Still troubling:",
        "• Paused: deliveries to cms, for 3 hours 10 minutes",
        "https://relay.example/notices",
        "",
        "1 question waits for an answer: https://relay.example/approvals",
        "",
        "https://relay.example/",
    ]


def test_an_empty_day_is_one_line() -> None:
    title, text = words(DAY, Numbers(), AT, NOW)
    assert title == "Sunday, 1 March 2026: a quiet day"
    assert text.splitlines() == [
        "No story came in, nothing failed, nothing is troubling.",
        "https://relay.example/",
    ]


def test_a_day_on_which_something_was_only_published_is_not_empty() -> None:
    title, text = words(DAY, Numbers(published=3, typical=2, slowest=4), AT, NOW)
    assert title == "Sunday, 1 March 2026: no new story, 3 of the days before published"
    assert "From the news of 3 stories to the last destination: half within 2.0 s" in text


def test_a_day_of_which_only_a_trouble_is_left_is_not_empty() -> None:
    title, text = words(DAY, Numbers(troubles=[("Full", NOW)]), AT, NOW)
    assert title == "Sunday, 1 March 2026: 0 stories"
    assert text.startswith("No story came in.\n\nStill troubling:\n• Full, for less than a minute\n")


def test_the_worst_day_of_all_fits_into_one_message_of_slack() -> None:
    long = Named("x" * 300, "sub_" + "y" * 32)
    numbers = Numbers(
        results=dict.fromkeys(RESULTS, 10**7),
        credits=10**9,
        published=10**7,
        slowest=10**6,
        slowest_story=long,
        finished=10**7,
        missed=10**7,
        noted=dict.fromkeys(NoticeKind, 10**6),
        worst=[long] * 9,
        troubles=[("x" * 300, NOW - timedelta(days=99))] * 9,
        questions=10**6,
    )
    text = words(DAY, numbers, AT, NOW)[1]
    assert "\n… and 4 more: https://relay.example/notices\n" in text
    assert len(text) <= 3000
