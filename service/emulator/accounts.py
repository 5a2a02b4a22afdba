"""API keys: who they belong to, what they may spend, how often they may call."""

import hashlib
import hmac
import math
from collections import deque
from dataclasses import dataclass, field

from service.emulator.refusals import insufficient_credit, limit_reached, unauthorized

MINUTE = 60.0


@dataclass
class Account:
    """One customer, known by the key."""

    customer_id: str
    credits_left: int | None
    calls: deque[float] = field(default_factory=deque)

    def charge(self, needed: int) -> None:
        """Takes credits; raises Refusal (402) and takes none where too few are left."""
        if self.credits_left is None:
            return
        if needed > self.credits_left:
            raise insufficient_credit(needed, self.credits_left)
        self.credits_left -= needed

    def count_call(self, now: float, limit: int | None) -> None:
        """Counts a call at `now` (seconds); raises Refusal (429) above `limit` calls within a minute."""
        while self.calls and self.calls[0] <= now - MINUTE:
            self.calls.popleft()
        if limit is not None and len(self.calls) >= limit:
            wait = math.ceil(self.calls[0] + MINUTE - now) if self.calls else 60
            raise limit_reached(f"the plan allows {limit} calls a minute", max(1, wait))
        self.calls.append(now)


class Accounts:
    """All customers."""

    def __init__(self, keys: tuple[str, ...], credits_each: int | None) -> None:
        self._accounts = {key.encode(): Account(customer_id(key), credits_each) for key in keys}

    def of(self, key: str | None) -> Account:
        """The account of a key; raises Refusal (401)."""
        if not key:
            raise unauthorized("the header X-Api-Key is missing")
        for known, account in self._accounts.items():
            if hmac.compare_digest(known, key.encode()):
                return account
        raise unauthorized("the API key is not known")


def customer_id(key: str) -> str:
    """A customer's id; says nothing about the key."""
    return "customer-" + hashlib.sha256(key.encode()).hexdigest()[:12]
