"""What our signed URLs have in common: keys that rotate, SHA-256, one error for everything that is wrong."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from itsdangerous import Signer, TimestampSigner, URLSafeSerializer
from itsdangerous.encoding import base64_decode, base64_encode
from pydantic import SecretStr

Clock = Callable[[], float]
"""Seconds since 1970, as `time.time`."""

_HOW: dict[str, Any] = {"key_derivation": "hmac", "digest_method": hashlib.sha256}


class BadToken(Exception):
    """The token opens nothing: forged, cut, expired, revoked or made for something else; it never says which."""

    def __init__(self) -> None:
        super().__init__("the link's token is not valid, or not any more")


def signer(keys: Sequence[str], salt: str) -> Signer:
    """Signs with the first key and verifies with all. Raises ValueError without keys."""
    return Signer(_oldest_first(keys), salt=salt, **_HOW)


def timestamp_signer(keys: Sequence[str], salt: str, now: Clock) -> TimestampSigner:
    """As `signer`, with the time of signing. Raises ValueError without keys."""
    made = _ClockSigner(_oldest_first(keys), salt=salt, **_HOW)
    made.now = now
    return made


def serializer(keys: Sequence[str], salt: str) -> URLSafeSerializer:
    """As `signer`, for JSON values. Raises ValueError without keys."""
    return URLSafeSerializer(_oldest_first(keys), salt=salt, signer_kwargs=_HOW)


def check_form(token: str, longest: int) -> None:
    """Refuses what none of our signers can have written, before any hashing: BadToken.

    The last character of a signature has bits that decoding ignores: two spellings of one token would count
    as two where tokens are counted.
    """
    if len(token) > longest or not _FORM.fullmatch(token):
        raise BadToken
    signature = token.rpartition(".")[2]
    if not hmac.compare_digest(base64_encode(base64_decode(signature)), signature.encode()):
        raise BadToken


def fingerprint(keys: Sequence[SecretStr], purpose: str, *parts: str | SecretStr) -> str:
    """Changes when one of the parts does, and tells nothing about them: an HMAC with the first key, in hex.

    '' without keys: a plain hash would let a short secret be guessed.
    """
    if not keys:
        return ""
    plain = [part if isinstance(part, str) else part.get_secret_value() for part in parts]
    text = json.dumps([purpose, *plain])
    return hmac.new(keys[0].get_secret_value().encode(), text.encode(), hashlib.sha256).hexdigest()


_FORM = re.compile(r"[A-Za-z0-9_.-]+\.[A-Za-z0-9_-]{43}")


class _ClockSigner(TimestampSigner):
    now: Clock

    def get_timestamp(self) -> int:
        return int(self.now())


def _oldest_first(keys: Sequence[str]) -> list[str]:
    # itsdangerous signs with the last key, our settings with the first
    if not keys:
        raise ValueError("there is no secret key: set SECRET_KEYS, or let `storyrelay up` make one")
    return list(reversed(keys))
