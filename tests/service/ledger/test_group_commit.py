import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from service.ledger import LedgerDown
from service.ledger.group_commit import GroupCommit


class Book:
    """Commits what it is given, and shows in which company; the first commit can be held up."""

    def __init__(self) -> None:
        self.commits: list[list[int]] = []
        self.noted: list[list[int]] = []
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.down = False

    def commit(self, items: Sequence[int]) -> list[int]:
        self.entered.set()
        assert self.go_on.wait(10)
        if self.down:
            raise sa.exc.OperationalError("", None, Exception("gone"))
        if any(item < 0 for item in items):
            raise ValueError("a bad item")
        self.commits.append(list(items))
        return [item * 10 for item in items]

    def note(self, items: Sequence[int], results: Sequence[int]) -> None:
        assert results == [item * 10 for item in items]
        self.noted.append(list(items))


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def group(book: Book) -> GroupCommit[int, int]:
    return GroupCommit(book.commit, book.note)


def all_waiting(group: GroupCommit[int, int], count: int) -> None:
    """Returns when so many gather behind the commit that is held up."""
    with group._gathered:
        assert group._gathered.wait_for(lambda: len(group._turns) == count, 10)


class Crowd:
    """One write whose commit is held up, and others that gather behind it."""

    def __init__(self, group: GroupCommit[int, int], book: Book, others: Sequence[int]) -> None:
        self._pool = ThreadPoolExecutor(1 + len(others))
        self.first = self._pool.submit(group.write, 1)
        assert book.entered.wait(10)
        self.others = []
        for number, item in enumerate(others, 1):
            group._last = number  # each wakes the one that waits here
            self.others.append(self._pool.submit(group.write, item))
            all_waiting(group, number)

    def errors(self) -> list[type[BaseException] | None]:
        return [type(error) if (error := other.exception(10)) else None for other in self.others]


def test_a_lone_write_waits_for_nobody(group: GroupCommit[int, int], book: Book) -> None:
    book.go_on.set()
    assert [group.write(1), group.write(2)] == [10, 20]
    assert book.commits == book.noted == [[1], [2]]


def test_what_gathers_behind_a_commit_shares_the_next_one(group: GroupCommit[int, int], book: Book) -> None:
    crowd = Crowd(group, book, [2, 3, 4])
    book.go_on.set()
    assert [crowd.first.result(10), *(other.result(10) for other in crowd.others)] == [10, 20, 30, 40]
    assert book.commits == book.noted == [[1], [2, 3, 4]]


def test_a_bad_item_harms_no_other(group: GroupCommit[int, int], book: Book) -> None:
    crowd = Crowd(group, book, [2, -3, 4])
    book.go_on.set()
    assert crowd.errors() == [None, ValueError, None]
    assert sorted(book.commits) == sorted(book.noted) == [[1], [2], [4]]


def test_a_ledger_that_is_down_is_told_to_all_and_asked_once(
    group: GroupCommit[int, int], book: Book
) -> None:
    crowd = Crowd(group, book, [2, 3])
    book.down = True
    book.go_on.set()
    assert isinstance(crowd.first.exception(10), LedgerDown)
    assert crowd.errors() == [sa.exc.OperationalError] * 2
    book.down = False
    assert group.write(5) == 50
    assert book.commits == book.noted == [[5]]


def test_a_lone_bad_item_raises_and_the_next_is_written(group: GroupCommit[int, int], book: Book) -> None:
    book.go_on.set()
    with pytest.raises(ValueError, match="a bad item"):
        group.write(-1)
    assert group.write(2) == 20


def test_every_write_of_a_rush_is_committed_once(group: GroupCommit[int, int], book: Book) -> None:
    book.go_on.set()
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(group.write, range(1000)))
    assert results == [item * 10 for item in range(1000)]
    assert sorted(item for commit in book.commits for item in commit) == list(range(1000))
    assert sorted(item for commit in book.noted for item in commit) == list(range(1000))
