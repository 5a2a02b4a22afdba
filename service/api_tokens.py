"""Makes, reads and removes the tokens by which programs use the JSON API."""

import hmac
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.domain.api_tokens import ApiToken, Scope, check_token_name, digest, handle_of, new_token
from service.ledger import Ledger, api_tokens, people
from service.ledger.people import Deed

LONGEST_DAYS = 3650


class NotDone(Exception):
    """A token could not be made or removed as asked; the message says why."""


class BadApiToken(Exception):
    """The bearer token is none of ours, was removed, or is over; the message tells which."""


@dataclass(frozen=True)
class NewApiToken:
    """A token that was just made: the only time that its text is known."""

    token: ApiToken
    text: str = field(repr=False)


@dataclass(frozen=True)
class ApiTokens:
    """The tokens of one ledger. Every change leaves a line in the audit log, with `who` made it."""

    ledger: Ledger
    now: Callable[[], datetime]

    def add(
        self, name: str, scopes: Collection[Scope], days: int | None, who: str, remote: str = ""
    ) -> NewApiToken:
        """Makes a token for `scopes`, good for `days` (None: until it is removed). Raises ValueError and NotDone."""
        check_token_name(name)
        wanted = [scope for scope in Scope if scope in scopes]
        if not wanted:
            raise ValueError("a token needs at least one scope")
        if days is not None and not 1 <= days <= LONGEST_DAYS:
            raise ValueError(f"a token is good for 1 to {LONGEST_DAYS} days")
        now, text = self.now(), new_token()
        ends = None if days is None else now + timedelta(days=days)
        with self.ledger.write() as tx:
            made = api_tokens.add(tx, name, handle_of(text) or "", digest(text), wanted, ends, now)
            if made is None:
                raise NotDone(f"there is a token {name} already")
            people.note(tx, Deed(now, who, "token_added", name, " ".join(wanted), remote))
        return NewApiToken(made, text)

    def remove(self, name: str, who: str, remote: str = "") -> None:
        """Deletes a token; the next call with it is refused. Raises NotDone."""
        with self.ledger.write() as tx:
            gone = api_tokens.remove(tx, name)
            if gone is None:
                raise NotDone(f"there is no token {name[:64]}")
            people.note(tx, Deed(self.now(), who, "token_removed", gone.name, remote=remote))

    def all(self) -> list[ApiToken]:
        """All tokens, by name."""
        with self.ledger.read() as tx:
            return api_tokens.every(tx)

    def read(self, text: str) -> ApiToken:
        """The token of a call. Raises BadApiToken."""
        handle = handle_of(text)
        if handle is None:
            raise BadApiToken("this is no token of this API: one begins with srt_ and is copied whole")
        with self.ledger.read() as tx:
            found = api_tokens.find(tx, handle)
        if found is None or not hmac.compare_digest(found[1], digest(text)):
            raise BadApiToken("the token is not known here: it was removed, or is another installation's")
        token, now = found[0], self.now()
        if token.is_over(now):
            raise BadApiToken("the token has expired; make another one")
        if token.used_at is None or now - token.used_at >= api_tokens.USE_STEP:
            with self.ledger.write() as tx:
                api_tokens.used(tx, token.id, now)
        return token
