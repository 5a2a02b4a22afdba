"""When to try again and when to ask: pure arithmetic over seconds."""

import random
from collections.abc import Sequence


def retry_delay(
    schedule: Sequence[float], attempt: int, *, jitter: float, asked: float | None, longest_ask: float
) -> float | None:
    """Returns the seconds until the next try after failed attempt number `attempt` (from 1), None after the last.

    A `Retry-After` (`asked`, seconds) lengthens the delay, up to `longest_ask`.
    """
    if attempt > len(schedule):
        return None
    delay = schedule[attempt - 1] * random.uniform(1 - jitter, 1 + jitter)
    return max(delay, min(asked, longest_ask)) if asked is not None else delay


def first_poll_delay(video_seconds: int | None) -> float:
    """Seconds until a story of this length is usually done.

    The provider says 5 to 15 minutes; its samples make 15 s of video. So: 5 minutes, and 10 s more for each
    further second of video, up to 15 minutes.
    """
    return min(900.0, 300.0 + 10.0 * max(0, (video_seconds or 15) - 15))


def next_poll_delay(age: float, *, shortest: float, longest: float, jitter: float) -> float:
    """Seconds until the next poll of a story that has been open for `age` seconds: a tenth of its age.

    So a story that is about due is asked often, and one that stays silent for days seldom.
    """
    return min(longest, max(shortest, age / 10)) * random.uniform(1 - jitter, 1 + jitter)


def circuit_should_open(tries: int, failures: int, *, least_tries: int, share: float) -> bool:
    """Says whether so many failures mean that the other side is down rather than unlucky."""
    return tries >= least_tries and failures >= share * tries
