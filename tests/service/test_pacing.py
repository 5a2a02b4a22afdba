import threading
import time

import pytest
from redis import Redis

from service.domain.delivery import DeliveryFailed
from service.domain.rates import Rate, parse_rate
from service.job_queue import fast_connection
from service.pacing import LONG, Pacer, spread


def schedule(redis: Redis, rate: Rate, count: int) -> list[float]:
    """When each of many tokens that are asked for at once may be used, in seconds of our clock."""
    pacer = Pacer(redis)
    return [time.monotonic() + pacer.take("team", rate, LONG) for _ in range(count)]


@pytest.mark.parametrize("text", ["1/s", "5/s", "30/3s", "100/5s"])
def test_no_span_of_the_rates_time_holds_more_than_its_count(redis: Redis, text: str) -> None:
    rate = parse_rate(text)
    taken = sorted(schedule(redis, rate, rate.count * 2 + 3))
    slack = 0.05  # our clock is read a little before the server's
    for first in taken:
        within = [at for at in taken if first <= at < first + rate.seconds - slack]
        assert len(within) <= rate.count
    assert taken[-1] - taken[0] < 1.3 * len(taken) * rate.seconds / rate.count, "and it is used up"


def test_many_workers_share_one_rate(valkey: str) -> None:
    waits: list[float] = []

    def take() -> None:
        pacer = Pacer(fast_connection(valkey, timeout=2))
        waits.append(pacer.take("team", Rate(1, 4.0), LONG))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [round(wait / 4) for wait in sorted(waits)] == list(range(8))


def test_a_token_that_is_too_far_off_is_not_taken(redis: Redis) -> None:
    pacer = Pacer(redis)
    assert pacer.take("team", Rate(1, 10.0), 0) == 0
    first, second = (pacer.take("team", Rate(1, 10.0), 2) for _ in range(2))
    assert 9 < second <= first <= 10
    assert pacer.take("other", Rate(1, 10.0), 0) == 0, "each destination has its own"
    assert redis.pttl("storyrelay:rate:team") <= 10_000, "it is forgotten by itself"


def test_a_server_whose_clock_was_set_back_holds_nobody_up_for_long(redis: Redis) -> None:
    redis.set("storyrelay:rate:team", str(4 * 10**15))
    assert Pacer(redis).take("team", Rate(1, 1.0), 0) <= LONG + 1


def test_without_a_server_everything_passes() -> None:
    gone = Pacer(fast_connection("redis://127.0.0.1:1", timeout=0.2))
    assert gone.take("team", Rate(1, 60.0), 0) == 0
    assert Pacer().take("team", Rate(1, 60.0), 0) == 0


def test_a_call_under_way_waits_for_its_turn_or_fails_with_the_time(redis: Redis) -> None:
    pacer = Pacer(redis)
    pace = pacer.pace("team", Rate(1, 0.2))
    started = time.monotonic()
    for _ in range(3):
        pace()
    assert time.monotonic() - started >= 0.39
    slow = pacer.pace("slow", Rate(1, 3600.0))
    slow()
    with pytest.raises(DeliveryFailed, match="1/h") as failed:
        slow()
    assert failed.value.retry_after == pytest.approx(3600, abs=5)
    assert not failed.value.permanent


@pytest.mark.parametrize(("text", "interval", "burst"), [("1/s", 1.0, 1), ("30/min", 60 / 27, 4)])
def test_a_tenth_may_come_at_once(text: str, interval: float, burst: int) -> None:
    assert spread(parse_rate(text)) == (pytest.approx(interval), burst)
