"""A destination's options as people may see them: nothing that opens anything."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from service.configuration.parsed import DestinationConfig
from service.redaction import GONE, redact, redact_tree

_PLACE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", re.ASCII)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://\S+")
_PLAIN_SEGMENT = re.compile(r"[a-z_.-]{0,40}|v?[0-9]{1,4}", re.ASCII | re.IGNORECASE)
_WORDS = re.compile(r"[^\s\"'<>,;{}()\[\]]+")
_LONGEST = 400
_LONG_RUN = 24
"""A word of letters and digits of this length is a key more often than it is a name."""


def shown_options(config: DestinationConfig) -> dict[str, str]:
    """Option → its text, as written in the file: `${NAME}` stays as it is, what is secret becomes ***.

    Secret is what the connector declares so, what its name says is, logins, queries and unreadable parts in addresses,
    and long runs of letters and digits.
    """
    return {name: _shown(value, _meant(config.options, name), name) for name, value in config.written.items()}


def _meant(options: Any, name: str) -> Any:
    """What the connector reads from the option of that name in the file; GONE where that can't be told."""
    if isinstance(options, BaseModel):
        for field, info in type(options).model_fields.items():
            if name in (field, info.alias):
                return getattr(options, field)
        return SecretStr(GONE)
    if isinstance(options, Mapping):
        return options.get(name, SecretStr(GONE))
    return SecretStr(GONE) if _has_secret(options) else None


def _shown(value: Any, meant: Any, name: str) -> str:
    if isinstance(value, Mapping):
        inner = (f"{key} = {_shown(each, _meant(meant, key), key)}" for key, each in value.items())
        return "; ".join(inner)[:_LONGEST]
    if isinstance(value, list | tuple):
        return ", ".join(_shown(each, meant, name) for each in value)[:_LONGEST]
    if isinstance(value, str) and _PLACE.fullmatch(value):
        return value
    if _has_secret(meant):
        return GONE
    if not isinstance(value, str):
        return str(value)
    named = redact_tree({name: value})
    return GONE if GONE in named.values() else _masked(value)[:_LONGEST]


def _has_secret(value: Any) -> bool:
    if isinstance(value, BaseModel):
        return any(_has_secret(getattr(value, name)) for name in type(value).model_fields)
    if isinstance(value, Mapping):
        return any(map(_has_secret, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(_has_secret, value))
    return isinstance(value, SecretStr)


def _masked(text: str) -> str:
    if "://" in text and "@" in text:
        # a password may hold what ends an address, a space even: nothing of one with a login is surely harmless
        return f"{text.partition('://')[0]}://{GONE}"
    return _WORDS.sub(_masked_word, redact(_URL.sub(_masked_url, text)))


def _masked_url(found: re.Match[str]) -> str:
    scheme = found[0].partition("://")[0]
    try:
        parts = urlsplit(found[0])
        is_whole = bool(parts.hostname) and (parts.port or 0) >= 0  # a port that is none: half of a login
    except ValueError:
        return f"{scheme}://{GONE}"
    path = "/".join(each if _is_plain(each) else GONE for each in parts.path.split("/"))
    rest = f"?{GONE}" if parts.query or parts.fragment else ""
    return f"{scheme}://{parts.netloc}{path}{rest}" if is_whole else f"{scheme}://{GONE}"


def _is_plain(segment: str) -> bool:
    return _PLAIN_SEGMENT.fullmatch(segment) is not None or _PLACE.fullmatch(segment) is not None


def _masked_word(found: re.Match[str]) -> str:
    word = found[0]
    if "://" in word or len(word) < _LONG_RUN:
        return word
    runs = re.split(r"[./@:_-]", word)
    mixed = any(len(run) >= _LONG_RUN and any(map(str.isdigit, run)) for run in runs)
    return GONE if mixed else word
