import pytest

from service.domain.schedules import circuit_should_open, first_poll_delay, next_poll_delay, retry_delay

SCHEDULE = (5.0, 300.0, 1800.0)


def test_each_attempt_has_its_pause_and_the_last_has_none() -> None:
    delays = [retry_delay(SCHEDULE, n, jitter=0, asked=None, longest_ask=3600) for n in (1, 2, 3, 4)]
    assert delays == [5, 300, 1800, None]


def test_pauses_vary_by_the_jitter_and_no_more() -> None:
    delays = {retry_delay(SCHEDULE, 2, jitter=0.2, asked=None, longest_ask=3600) for _ in range(200)}
    assert len(delays) > 100
    assert all(240 <= (delay or 0) <= 360 for delay in delays)
    assert max(delays, key=float) > 320
    assert min(delays, key=float) < 280


@pytest.mark.parametrize(("asked", "delay"), [(0, 5), (60, 60), (86400, 3600), (-7, 5)])
def test_what_the_other_side_asks_for_lengthens_the_pause(asked: float, delay: float) -> None:
    assert retry_delay(SCHEDULE, 1, jitter=0, asked=asked, longest_ask=3600) == delay


def test_being_asked_to_wait_gives_no_further_attempt() -> None:
    assert retry_delay(SCHEDULE, 4, jitter=0, asked=60, longest_ask=3600) is None


@pytest.mark.parametrize(
    ("seconds", "delay"), [(None, 300), (1, 300), (15, 300), (45, 600), (75, 900), (6000, 900)]
)
def test_longer_videos_are_looked_for_later(seconds: int | None, delay: float) -> None:
    assert first_poll_delay(seconds) == delay


@pytest.mark.parametrize(("age", "delay"), [(0, 30), (300, 30), (600, 60), (86400, 900)])
def test_who_is_silent_for_long_is_asked_seldom(age: float, delay: float) -> None:
    assert next_poll_delay(age, shortest=30, longest=900, jitter=0) == delay


def test_polls_spread() -> None:
    delays = {next_poll_delay(600, shortest=30, longest=900, jitter=0.2) for _ in range(200)}
    assert len(delays) > 100
    assert all(48 <= delay <= 72 for delay in delays)


@pytest.mark.parametrize(
    ("tries", "failures", "opens"), [(9, 9, False), (10, 6, False), (10, 7, True), (100, 69, False)]
)
def test_a_circuit_opens_by_share_and_by_number(tries: int, failures: int, opens: bool) -> None:
    assert circuit_should_open(tries, failures, least_tries=10, share=0.7) == opens
