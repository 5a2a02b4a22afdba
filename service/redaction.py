"""Takes secrets out of text that people will read: logs, errors, reports to Sentry."""

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

GONE = "***"

# Each pattern starts with a literal of bounded length and ends in one run, so that hostile text is read
# once: no quadratic backtracking. Quotes may be escaped, as in a JSON text within a log line.
_QUOTE = r"\\{0,2}[\"']"
_URL = re.compile(r"://[^\s\"<>]*")
_AUTHORITY = re.compile(r"[^/?#]*")
_OUR_TOKEN = re.compile(
    r"(/webhooks/story/|/setup/|/approve/|/media/(?=[^\s/?#\"<>]{24}))[^\s\"'<>]+", re.IGNORECASE
)
_SLACK_HOOK = re.compile(r"(hooks\.slack\.com/[a-z]{1,20}/)[^\s\"<>]+", re.IGNORECASE)
_HEADER = re.compile(
    r"((?:x-api-key|authorization|cookie|secret_keys)"
    rf"(?:\s{{0,4}}[:=]|{_QUOTE}\s{{0,4}}[:,=])\s{{0,4}}b?(?:{_QUOTE})?)[^\r\n\"'\\]+",
    re.IGNORECASE,
)
_NAMES = r"token|secret|secret_key|passw(?:or)?d|api_?-?key|access_?-?key|credentials?|signature|dsn"
_NAMED = re.compile(
    rf"((?:{_NAMES})(?:=|{_QUOTE}\s{{0,4}}[:,=]\s{{0,4}}b?)(?:{_QUOTE})?)[^\s\"'\\&;,)}}\]]+", re.IGNORECASE
)
_BEARER = re.compile(r"(\bbearer\s{1,4})[\w.~+/=-]{12,}", re.IGNORECASE)
_SHAPES = re.compile(r"(whsec_|xox[a-z](?:\.xox[a-z])?-|xapp-|srt_)[\w+/=-]+")
_SECRET_NAME = re.compile(rf"{_NAMES}|authorization|cookie|query_string|http\.query", re.IGNORECASE)
_SIGN = re.compile(
    r"://|/webhooks/|/setup/|/approve/|/media/|slack|key|auth|cookie|token|secret|passw"
    r"|credential|signature|dsn|bearer|whsec_|xox|xapp|srt_"
)
"""What any of the patterns needs: a quick look for these spares most texts of a log the rest."""


SHORTEST = 8
"""Shorter secrets are not looked for by their value: they stand in words that are none."""

_CONCEALED: list[re.Pattern[str]] = []


def conceal(secrets: Iterable[str]) -> None:
    """Has this process take these texts out of what people will read, as they are and as they are written in
    addresses, in JSON and in HTML.

    In place of those that were named before. A place that quotes our own key to us gives it no shape to know it by.
    """
    forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    _CONCEALED[:] = [re.compile("|".join(map(re.escape, longest_first)))] if longest_first else []


def _forms(secret: str) -> Iterator[str]:
    yield secret
    for safe in ("", "/"):
        in_address = quote(secret, safe=safe)
        yield in_address
        yield re.sub("%..", lambda found: found[0].lower(), in_address)
    for plain in (True, False):
        in_json = json.dumps(secret, ensure_ascii=plain)[1:-1]
        yield in_json
        yield in_json.replace("/", r"\/")  # as PHP does
        yield html.escape(secret, quote=plain)


def redact(text: str) -> str:
    """Returns the text without the secrets that are concealed, tokens of our paths, query strings, passwords in URLs,
    keys and login headers.

    Takes time linear in the text's length. What names no secret stays as it is.
    """
    for concealed in _CONCEALED:
        text = concealed.sub(GONE, text)
    if not _SIGN.search(text.lower()):  # faster than a pattern that ignores case
        return text
    text = _HEADER.sub(rf"\1{GONE}", text)
    text = _URL.sub(_public_part, text)
    text = _OUR_TOKEN.sub(rf"\1{GONE}", text)
    text = _SLACK_HOOK.sub(rf"\1{GONE}", text)
    text = _NAMED.sub(rf"\1{GONE}", text)
    text = _BEARER.sub(rf"\1{GONE}", text)
    return _SHAPES.sub(rf"\1{GONE}", text)


def redact_tree(value: Any, depth: int = 20) -> Any:
    """Redacts every string in nested mappings and lists, and every text whose key names a secret.

    Other objects become their redacted `str`, as a log would print them; what lies deeper than `depth`, too.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact(value)
    if depth > 0 and isinstance(value, Mapping):
        return {redact(str(key)): _redact_item(str(key), item, depth - 1) for key, item in value.items()}
    if depth > 0 and isinstance(value, list | tuple | set | frozenset):
        return [redact_tree(item, depth - 1) for item in value]
    return redact(str(value))


def _redact_item(key: str, value: Any, depth: int) -> Any:
    if isinstance(value, str | bytes | list | tuple) and _names_secret(key):
        return GONE
    return redact_tree(value, depth)


@lru_cache(maxsize=1024)
def _names_secret(key: str) -> bool:
    return _SECRET_NAME.search(key) is not None


def _public_part(match: re.Match[str]) -> str:
    """A URL from its `://` on, without login and query, and without a fragment that carries values."""
    rest, mark, _ = _without_login(match[0][3:]).partition("?")
    if mark:
        return f"://{rest}?{GONE}"
    rest, mark, fragment = rest.partition("#")
    return f"://{rest}{mark}{GONE if '=' in fragment else fragment}"


def _without_login(rest: str) -> str:
    at = _end_of_login(rest)
    if at < 0:
        return rest
    user, colon, _ = rest[:at].partition(":")
    return f"{user}:{GONE}{rest[at:]}" if colon else f"{GONE}{rest[at:]}"


def _end_of_login(rest: str) -> int:
    """Where the `@` after user and password stands, -1 where there is none."""
    found = _AUTHORITY.match(rest)
    authority = found[0] if found else ""
    if "@" in authority or authority.startswith("["):
        return authority.rfind("@")
    # people forget to encode a slash in a password: what follows the colon is no port then
    _, colon, port = authority.partition(":")
    return rest.rfind("@") if colon and not port.isdigit() else -1
