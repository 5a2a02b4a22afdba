"""How a call to another server can fail. Every message is for people and names the host, but no secret."""

from service.outbound_http.plain_text import plain

EXCERPT = 300


class OutboundError(Exception):
    """The base of all that a call to another server raises.

    `sent` says whether the request may have reached the other side and had its effect there.
    """

    sent = True

    def __init__(self, message: str, *, sent: bool | None = None) -> None:
        super().__init__(plain(message, 2 * EXCERPT))
        if sent is not None:
            self.sent = sent


class NotSent(OutboundError):
    """No byte of the request left (name, connection, TLS): repeating it can't double anything."""

    sent = False


class NoAnswer(OutboundError):
    """The request may have had its effect, but no whole answer came back (timeout, reset, early close)."""


class Incomplete(NoAnswer):
    """The body ended before its announced length; a download keeps its part and can go on from there."""


class AddressRefused(OutboundError):
    """An untrusted URL leads to an address that must not be reached."""

    sent = False


class TooManyRedirects(OutboundError):
    """More redirects than the request allows."""


class TooLarge(OutboundError):
    """The answer is larger than the request allows; it was cut off."""


class TooSlow(OutboundError):
    """A download fell below its lowest rate; its part is kept."""


class BadUrl(OutboundError):
    """The URL can't be used: malformed, or of a kind that isn't allowed here."""

    sent = False


class BadHeader(OutboundError):
    """A header's name or value can't be sent (RFC 9110 §5), or would change the message's framing."""

    sent = False


class NotJson(OutboundError):
    """The answer's body isn't JSON (RFC 8259)."""


class HttpStatus(OutboundError):
    """A download was answered with another status than 200.

    `retry_after`: seconds that the server asked to wait. `excerpt`: the start of the body, untrusted text.
    """

    def __init__(self, message: str, *, status: int, retry_after: float | None, excerpt: str) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.excerpt = plain(excerpt, EXCERPT)


class Interrupted(OutboundError):
    """The client's `stop` gave a reason to end the call."""


class DiskFull(OutboundError):
    """There is no space left (or no quota) for a download; its part is kept."""


class PartBusy(OutboundError):
    """Another worker of this host writes to the same part file."""

    sent = False
