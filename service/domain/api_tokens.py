"""The tokens of the JSON API: what each may do, and how one is written."""

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MARK = "srt_"
"""Every token begins so: whoever finds one in a file or a log can tell what it is, and programs can search for it."""

HANDLE = 8
"""Characters after the mark that are no secret: they name the token in lists and logs."""

_SECRET = 43  # of 62 kinds of character: 256 bits
_CHECK = 6
_LETTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_TOKEN = re.compile(rf"{MARK}([0-9A-Za-z]{{{HANDLE + _SECRET}}})([0-9A-Za-z]{{{_CHECK}}})", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)


class Scope(StrEnum):
    """What a token may do; none includes another."""

    READ = "read"
    SUBMIT = "submit"
    OPERATE = "operate"


MEANINGS = {
    Scope.READ: "read stories, receipts, destinations and notices, and price videos",
    Scope.SUBMIT: "ask for videos and adopt stories; this costs credits",
    Scope.OPERATE: "replay, withdraw, and send tests to destinations",
}


@dataclass(frozen=True)
class ApiToken:
    """A token as the ledger has it: all but its secret. `handle` is how it begins, after the mark."""

    id: int
    name: str
    handle: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None

    def is_over(self, now: datetime) -> bool:
        """Whether it has expired."""
        return self.expires_at is not None and self.expires_at <= now


def new_token() -> str:
    """A fresh token; whoever has it may do what its scopes allow."""
    body = "".join(secrets.choice(_LETTERS) for _ in range(HANDLE + _SECRET))
    return f"{MARK}{body}{_checksum(body)}"


def handle_of(token: str) -> str | None:
    """The part that names the token; None for what can't be one, such as a token with a slip in it."""
    parts = _TOKEN.fullmatch(token)
    if parts is None or _checksum(parts[1]) != parts[2]:
        return None
    return parts[1][:HANDLE]


def digest(token: str) -> str:
    """What is kept of a token, in hex.

    A plain SHA-256 is enough: unlike a password, 256 random bits can't be guessed however fast the guesses are
    tried, and the API has no time for a slow hash at every call.
    """
    return hashlib.sha256(token.encode()).hexdigest()


def check_token_name(name: str) -> str:
    """Returns a good name; raises ValueError, which says what one is."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            "a token's name has 1 to 64 letters, digits, . _ @ + or -, the first a letter or digit"
        )
    return name


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK):
        number, rest = divmod(number, len(_LETTERS))
        digits = _LETTERS[rest] + digits
    return digits
