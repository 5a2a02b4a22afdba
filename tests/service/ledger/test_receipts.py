"""The list of receipts against what a plain look through all of them finds."""

import random
from datetime import timedelta

import pytest

from service.domain.states import Verdict
from service.ledger import Ledger, receipts
from service.ledger.receipts import Receipt, ReceiptLine, Sought
from tests.service.ledger.conftest import at

COUNT, LINES = 120, 7
TOKENS = ("submission", "route:all", "route:night")
VERDICTS = tuple(Verdict)


@pytest.fixture
def rows(ledger: Ledger) -> list[ReceiptLine]:
    """Some came at the same time, some in another order than they were written; the newest first."""
    chance = random.Random(3)
    with ledger.write() as tx:
        for number in range(COUNT):
            token, verdict = chance.choice(TOKENS), chance.choice(VERDICTS)
            came = at(number // 3 - chance.randrange(3))
            receipts.add(tx, [Receipt(token, verdict, b"{}", "", "", came, claimed_id=f"story-{number % 9}")])
    with ledger.read() as tx:
        found = receipts.listed(tx, Sought(), COUNT)
    assert len(found) == COUNT
    return sorted(found, key=lambda line: (line.received_at, line.id), reverse=True)


@pytest.mark.parametrize(
    "sought",
    [
        Sought(),
        Sought(verdict=Verdict.ACCEPTED),
        Sought(token="route:all"),
        Sought(token="submission", verdict=Verdict.MISMATCH),
        Sought(verdict=Verdict.MALFORMED, since=at(10), until=at(30)),
        Sought(token="route:night", claimed="story-4"),
        Sought(token="route:nowhere"),
    ],
)
def test_pages_hold_every_receipt_that_is_sought_once_and_in_order(
    ledger: Ledger, rows: list[ReceiptLine], sought: Sought
) -> None:
    found: list[ReceiptLine] = []
    with ledger.read() as tx:
        page = receipts.listed(tx, sought, LINES)
        while page:
            assert len(page) <= LINES
            found += page
            page = receipts.listed(tx, sought, LINES, (page[-1].received_at, page[-1].id))
    assert found == [row for row in rows if is_sought(row, sought)]


def is_sought(row: ReceiptLine, sought: Sought) -> bool:
    return (
        sought.verdict in (None, row.verdict)
        and sought.token in (None, row.token)
        and (row.claimed_id or "").startswith(sought.claimed or "")
        and (sought.since or row.received_at) <= row.received_at
        and row.received_at < (sought.until or row.received_at + timedelta(1))
    )


def test_whose_tokens_there_are(ledger: Ledger, rows: list[ReceiptLine]) -> None:
    assert rows
    with ledger.read() as tx:
        assert receipts.tokens(tx) == sorted(TOKENS)
