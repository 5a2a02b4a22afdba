from datetime import timedelta

import pytest
from relayed import START, FakeClock

from service.api_tokens import ApiTokens, BadApiToken, NotDone
from service.domain.api_tokens import HANDLE, MARK, Scope, digest, handle_of
from service.ledger import Ledger, people
from service.ledger.api_tables import api_tokens as table


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tokens(ledger: Ledger, clock: FakeClock) -> ApiTokens:
    return ApiTokens(ledger, clock)


def test_a_token_opens_what_it_was_made_for_and_only_its_digest_is_kept(tokens: ApiTokens) -> None:
    made = tokens.add("editorial", [Scope.SUBMIT, Scope.READ], None, "ada")
    assert made.text.startswith(MARK + made.token.handle)
    assert made.text not in repr(made)
    assert tokens.read(made.text).scopes == (Scope.READ, Scope.SUBMIT)
    with tokens.ledger.read() as tx:
        row = tx.execute(table.select()).one()
    assert row.digest == digest(made.text)
    secret = made.text[len(MARK) + HANDLE :]
    assert not any(secret in str(value) for value in row)


def test_a_slip_another_secret_and_a_removed_token_are_refused(tokens: ApiTokens) -> None:
    made = tokens.add("a", [Scope.READ], None, "ada")
    other = tokens.add("b", [Scope.READ], None, "ada")
    for wrong in ("", "srt_", made.text[:-1], made.text + "x", made.text.swapcase(), "é" * 61):
        assert handle_of(wrong) is None
        with pytest.raises(BadApiToken, match="copied whole"):
            tokens.read(wrong)
    with tokens.ledger.write() as tx:  # the same beginning, another secret
        tx.execute(table.update().where(table.c.name == "a").values(digest=digest(other.text)))
    with pytest.raises(BadApiToken, match="not known"):
        tokens.read(made.text)
    tokens.remove("B", "ada")
    with pytest.raises(BadApiToken, match="not known"):
        tokens.read(other.text)


def test_a_token_expires(tokens: ApiTokens, clock: FakeClock) -> None:
    made = tokens.add("short", [Scope.READ], 1, "ada")
    clock.move(86399)
    assert tokens.read(made.text).expires_at == START + timedelta(days=1)
    clock.move(1)
    with pytest.raises(BadApiToken, match="expired"):
        tokens.read(made.text)


def test_the_last_use_is_known_to_the_minute(tokens: ApiTokens, clock: FakeClock) -> None:
    made = tokens.add("a", [Scope.READ], None, "ada")
    assert tokens.all()[0].used_at is None
    tokens.read(made.text)
    clock.move(59)
    tokens.read(made.text)
    assert tokens.all()[0].used_at == START
    clock.move(1)
    tokens.read(made.text)
    assert tokens.all()[0].used_at == START + timedelta(seconds=60)


def test_what_can_not_be_made_or_removed_is_told(tokens: ApiTokens) -> None:
    tokens.add("a", [Scope.READ], None, "ada")
    with pytest.raises(NotDone, match="already"):
        tokens.add("A", [Scope.READ], None, "ada")
    with pytest.raises(NotDone, match="no token b"):
        tokens.remove("b", "ada")
    with pytest.raises(ValueError, match="at least one scope"):
        tokens.add("b", [], None, "ada")
    with pytest.raises(ValueError, match="1 to 3650 days"):
        tokens.add("b", [Scope.READ], 0, "ada")
    with pytest.raises(ValueError, match="a token's name"):
        tokens.add("b c", [Scope.READ], None, "ada")


def test_each_change_leaves_a_line_in_the_audit_log(tokens: ApiTokens) -> None:
    tokens.add("a", [Scope.OPERATE], None, "ada", "192.0.2.7")
    tokens.remove("a", "bo")
    with tokens.ledger.read() as tx:
        lines = [(deed.who, deed.action, deed.about, deed.detail) for _, deed in people.deeds(tx, 10)]
    assert lines == [("bo", "token_removed", "a", ""), ("ada", "token_added", "a", "operate")]


def test_a_removed_tokens_key_is_not_given_to_the_next(tokens: ApiTokens) -> None:
    first = tokens.add("a", [Scope.READ], None, "ada").token
    tokens.remove("a", "ada")
    assert tokens.add("a", [Scope.READ], None, "ada").token.id != first.id
