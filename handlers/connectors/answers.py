"""What an HTTP answer, or none, means for a delivery."""

from service.domain.delivery import DeliveryFailed
from service.outbound_http import OutboundError
from service.outbound_http.plain_text import plain

REFUSED = frozenset({401, 403})
TEMPORARY = frozenset({408, 425, 429})
_EXCERPT = 200
_SCAN = 4000


class Unanswered(DeliveryFailed):
    """The call may have had its effect: look before doing it again."""


def unsent(error: OutboundError, what: str) -> DeliveryFailed:
    """A call that got no answer; `Unanswered` when it may have reached the other side."""
    kind = Unanswered if error.sent else DeliveryFailed
    return kind(f"{what}: {error}")


def answered(status: int, message: str, retry_after: float | None = None) -> DeliveryFailed:
    """A call that was answered by a status that is not 2xx.

    4xx is permanent but for 401 and 403 (refused), 408, 425 and 429; after 5xx the call may have had its effect.
    """
    if status >= 500:
        return Unanswered(message, retry_after=retry_after)
    permanent = 400 <= status < 500 and status not in REFUSED | TEMPORARY
    return DeliveryFailed(message, permanent=permanent, refused=status in REFUSED, retry_after=retry_after)


def excerpt(body: bytes) -> str:
    """The start of an answer, which is untrusted, as one printable line of at most 200 characters."""
    return plain(body[:_SCAN].decode("utf-8", "replace"), _EXCERPT)
