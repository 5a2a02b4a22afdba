"""How often a destination may be called, by all workers together: a token bucket in the queue's server.

GCRA (ITU-T I.371, the virtual scheduling algorithm) with the server's clock, so that no worker's matters. A tenth of
the count may come at once; the rest is spread so that no span of the rate's time ever holds more than its count.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from redis import Redis
from redis.exceptions import RedisError

from service.domain.delivery import DeliveryFailed
from service.domain.rates import Rate

log = structlog.get_logger()

SHORT = 2.0
"""Seconds that a step waits for its first token in its worker; longer ones free the worker."""

LONG = 30.0
"""Seconds that a publication under way waits for its next call."""

_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, slack = tonumber(ARGV[1]), tonumber(ARGV[2])
local longest, bound = tonumber(ARGV[3]), tonumber(ARGV[4])
local free = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now))
-- nobody reserves further ahead: the clock was set back
free = math.min(free, now + slack + bound + interval)
local wait = math.max(0, free - slack - now)
if wait <= longest then
  free = free + interval
  redis.call('SET', KEYS[1], string.format('%.0f', free), 'PX', math.ceil((free - now) / 1000))
end
return math.ceil(wait)
"""


@dataclass(frozen=True)
class Pacer:
    """Hands out the tokens of each destination; None for the server's connection: as many as anyone wants."""

    connection: "Redis | None" = None

    def take(self, destination: str, rate: Rate, longest: float) -> float:
        """Returns the seconds to wait. Up to `longest`, the token is taken and its caller's; beyond it is not.

        A server that does not answer lets everything pass: without it nothing new is queued anyway, the place itself
        says when it is too much (429, which holds the lane), and a story late is worse than a place asked to wait.
        """
        if self.connection is None:
            return 0.0
        interval, burst = spread(rate)
        micro = [math.ceil(each * 1e6) for each in (interval, (burst - 1) * interval, longest, LONG)]
        take = self.connection.register_script(_TAKE)
        try:
            return float(take(keys=[f"storyrelay:rate:{destination}"], args=micro)) / 1e6
        except RedisError as error:
            log.warning("rate.unknown", destination=destination, error=type(error).__name__)
            return 0.0

    def pace(self, destination: str, rate: Rate) -> Callable[[], None]:
        """A `ConnectorTools.pace` for a publication of this destination."""

        def pace() -> None:
            wait = self.take(destination, rate, LONG)
            if wait > LONG:
                # it spends an attempt: at a rate that lets no publication through, that has to end and be told
                raise DeliveryFailed(
                    f"the rate of {destination} ({rate}) leaves no call for {wait:.0f} s", retry_after=wait
                )
            time.sleep(wait)

        return pace


def spread(rate: Rate) -> tuple[float, int]:
    """Seconds from one token to the next, and how many may be taken at once."""
    burst = 1 + rate.count // 10
    return rate.seconds / (rate.count - burst + 1), burst
