"""Many threads' writes in one transaction: a commit costs the same for one as for ten."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from service.ledger.engine import LedgerDown

Item = TypeVar("Item")
Result = TypeVar("Result")

GATHER_SECONDS = 0.004
"""How long a commit waits for as many writes as the last one had; after a lone write it waits for nothing."""


class GroupCommit(Generic[Item, Result]):
    """Lets one thread write what several threads bring, while the next ones gather.

    `commit` writes all items or none, and returns a result for each, in order; `after` is called with both once the
    others go on. There is no thread of its own: whoever comes first leads.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Sequence[Result]],
        after: Callable[[Sequence[Item], Sequence[Result]], None] = lambda _items, _results: None,
    ) -> None:
        self._commit = commit
        self._after = after
        self._lock = threading.Lock()
        self._gathered = threading.Condition(self._lock)
        self._turns: list[_Turn[Item, Result]] = []
        self._is_led = False
        self._last = 1

    def write(self, item: Item) -> Result:
        """Returns the item's result once it is durable.

        Raises LedgerDown to all of a commit; any other error only to the item that causes it: each of the others
        is written alone.
        """
        turn: _Turn[Item, Result] = _Turn(item)
        with self._lock:
            self._turns.append(turn)
            leads, self._is_led = not self._is_led, True
            if len(self._turns) == self._last:
                self._gathered.notify()
        if not leads:
            turn.gate.acquire()
        if not turn.is_over:
            self._lead()
        return turn.outcome(self._alone)

    def _lead(self) -> None:
        turns = self._gather()
        items = [turn.item for turn in turns]
        results: Sequence[Result] = ()
        try:
            results = self._commit(items)
            for turn, result in zip(turns, results, strict=True):
                turn.results = [result]
        except LedgerDown as error:
            for turn in turns:
                turn.error = error
        except Exception:  # one of them is bad: each tries again alone, and the bad one raises
            if len(turns) == 1:
                raise
        finally:
            self._hand_over(turns)
        if results:
            self._after(items, results)

    def _alone(self, item: Item) -> Result:
        results = self._commit([item])
        self._after([item], results)
        return results[0]

    def _gather(self) -> "list[_Turn[Item, Result]]":
        with self._lock:
            self._gathered.wait_for(lambda: len(self._turns) >= self._last, GATHER_SECONDS)
            turns, self._turns = self._turns, []
            self._last = len(turns)
        return turns

    def _hand_over(self, turns: "Sequence[_Turn[Item, Result]]") -> None:
        with self._lock:
            following = self._turns[:1]
            self._is_led = bool(following)
        for turn in turns:
            turn.is_over = True
            turn.gate.release()
        for turn in following:
            turn.gate.release()


class _Turn(Generic[Item, Result]):
    """One thread's item. The gate opens when it is over, or when its thread is to lead."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.is_over = False
        self.results: Sequence[Result] = ()
        self.error: Exception | None = None
        self.gate = threading.Lock()  # the cheapest of events: every write crosses it
        self.gate.acquire()

    def outcome(self, alone: Callable[[Item], Result]) -> Result:
        if self.error is not None:
            raise self.error
        return self.results[0] if self.results else alone(self.item)
