"""Carries a call through its redirects, each hop checked like the first."""

from dataclasses import replace

from service.outbound_http.answer_head import Head
from service.outbound_http.call import Call, Receiver, Terms
from service.outbound_http.errors import BadUrl, NoAnswer, NotSent, OutboundError, TooManyRedirects
from service.outbound_http.handles import Handles
from service.outbound_http.transfer import transfer
from service.outbound_http.url import Url, parse_url

_GOES_ANYWHERE = (b"accept", b"range", b"if-range", b"content-type", b"user-agent")
"""The only fields that follow to another origin: what else a caller sets may be a key."""


class Exchange:
    """Calls other servers on kept handles, under the same terms."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.handles = Handles()

    def url(self, text: str) -> Url:
        """Reads a URL. Raises BadUrl."""
        return parse_url(text, untrusted=self.terms.guard is not None)

    def follow(self, call: Call, receiver: Receiver, redirects: int) -> tuple[Head, Url]:
        """Returns the final answer's head and where it came from; `receiver` gets its body.

        Raises OutboundError, and what the receiver raises.
        """
        first = call
        for hop in range(redirects + 1):
            head = self._hop(call, receiver, later=hop > 0)
            if not (head.redirects and redirects):
                return head, call.url
            call = self._redirected(call, head)
        raise TooManyRedirects(
            f"{first.url.place} redirects more than {redirects} times, last to {call.url.place}"
        )

    def _hop(self, call: Call, receiver: Receiver, *, later: bool) -> Head:
        try:
            with self.handles.borrowed() as curl:
                return transfer(curl, call, self.terms, receiver)
        except OutboundError as error:
            if not later:
                raise
            error.sent = True  # an earlier hop got the request
            if isinstance(error, NotSent):
                raise NoAnswer(f"after a redirect: {error}") from error
            raise

    def _redirected(self, call: Call, head: Head) -> Call:
        target = head.headers["location"].encode("latin-1").decode(errors="replace")
        try:
            url = parse_url(target, untrusted=self.terms.guard is not None, base=call.url)
        except BadUrl as error:
            raise BadUrl(
                f"{call.url.place} redirects to where it can't be followed: {error}", sent=True
            ) from None
        headers = (
            call.headers if url.origin == call.url.origin else tuple(filter(_goes_anywhere, call.headers))
        )
        if head.status in (307, 308) or call.method in ("GET", "HEAD"):
            return replace(call, url=url, headers=headers)
        return replace(call, url=url, headers=headers, method="GET", body=None)  # RFC 9110 §15.4


def _goes_anywhere(line: bytes) -> bool:
    return line.partition(b":")[0].lower() in _GOES_ANYWHERE
