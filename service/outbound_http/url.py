"""Reads URLs with curl's own parser, so that what is checked is what is called."""

import re
from dataclasses import dataclass, field

import pycurl

from service.outbound_http.errors import BadUrl
from service.outbound_http.plain_text import plain

MAX_LENGTH = 8192
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Url:
    """An http or https URL, ready to be called; `text` may carry secrets and never belongs into a message."""

    text: str = field(repr=False)
    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> tuple[str, str, int]:
        """What decides whether a redirect leaves the server (RFC 6454)."""
        return self.scheme, self.host.lower(), self.port

    @property
    def place(self) -> str:
        """The server's name for messages."""
        usual = {"http": 80, "https": 443}[self.scheme]
        return plain(self.host, 255) if self.port == usual else f"{plain(self.host, 255)}:{self.port}"

    @property
    def without_query(self) -> str:
        """The URL without what may be secret in it: user, query and fragment."""
        parts = pycurl.CurlUrl(self.text)
        parts.query = parts.fragment = parts.password = parts.user = None
        return parts.url or ""


def parse_url(text: str, *, untrusted: bool, base: Url | None = None) -> Url:
    """Reads an http(s) URL, relative to `base` if there is one; spaces and non-ASCII characters are encoded.

    Raises BadUrl; an untrusted one may not carry a user or password.
    """
    text = text.strip()
    if len(text) > MAX_LENGTH or _CONTROL.search(text):
        raise BadUrl(f"a URL has control characters or more than {MAX_LENGTH} characters")
    flags = pycurl.U_DISALLOW_USER if untrusted else 0
    if " " in text or not text.isascii():
        flags |= pycurl.U_URLENCODE | pycurl.U_ALLOW_SPACE
    try:
        parts = pycurl.CurlUrl(base.text if base else None)
        parts.setpart(pycurl.UPART_URL, text.encode(), flags)
        return _url(parts)
    except pycurl.error as error:
        raise BadUrl(f"a URL can't be read: {error.args[-1]}") from None
    except UnicodeError:
        raise BadUrl("a URL can't be read: its host or path has characters that can't be encoded") from None


def _url(parts: pycurl.CurlUrl) -> Url:
    if parts.scheme not in ("http", "https"):
        raise BadUrl(
            f"a URL of the kind {plain(parts.scheme or '', 20)}: can't be called, only http and https"
        )
    if not parts.host:
        raise BadUrl("a URL names no host")
    if not parts.host.isascii():
        parts.host = parts.host.encode("idna")
    parts.fragment = None
    port = parts.getpart(pycurl.UPART_PORT, pycurl.U_DEFAULT_PORT)
    return Url(parts.url or "", parts.scheme, parts.host or "", int(port or 0))
