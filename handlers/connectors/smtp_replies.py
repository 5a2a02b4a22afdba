"""What a mail server's refusals mean (RFC 5321 §4.2, RFC 3463)."""

import re
import smtplib
from collections.abc import Collection
from dataclasses import dataclass

from handlers.connectors.answers import excerpt
from service.domain.delivery import DeliveryFailed

LOGIN_REPLIES = frozenset({530, 534, 535, 538})
"""Login needed, mechanism too weak, wrong login, encryption needed (RFC 4954 §6)."""
NO_LOGIN = "it wants a login: see username and password, or oauth2"

GREYLISTED_SECONDS = 300.0
"""What greylisting servers ask for where they name no time (Postgrey's and rspamd's default)."""

_TOO_LARGE = frozenset({"5.3.4", "5.2.3"})
"""Larger than the server, or than the mailbox, takes (RFC 3463 §3.3, §3.4)."""
_POLICY = "5.7."
"""Security and policy (RFC 3463 §3.8). Postfix says so of sender and client, too, when it hears the recipients."""
_USED_UP = "5.4.5"
"""Google's word for a sender's daily limit: tomorrow the same mail passes."""

_GREYLISTED = re.compile(r"gr[ea]y-?\s?list", re.IGNORECASE)
_NAMED_WAIT = re.compile(
    r"\b(?:in|after|for|wait)\s+(\d{1,5})\s*(s|sec|seconds?|m|min|minutes?)\b", re.IGNORECASE
)
_SHORTEST, _LONGEST = 5.0, 3600.0


class TooLarge(DeliveryFailed):
    """The server takes no mail of this size."""


@dataclass(frozen=True)
class Reply:
    """One reply; its text is untrusted, and as text it is one printable line: `550 5.1.1 No such user`."""

    code: int
    text: str

    @classmethod
    def of(cls, code: int, text: bytes | str) -> "Reply":
        """As smtplib gives it."""
        return cls(code, excerpt(text if isinstance(text, bytes) else text.encode()))

    def __str__(self) -> str:
        return f"{self.code} {self.text}"

    @property
    def status(self) -> str:
        """The enhanced status code, `5.1.1`; another word where there is none."""
        return self.text.partition(" ")[0]

    @property
    def for_good(self) -> bool:
        """Whether the same mail will meet the same reply."""
        return self.code >= 500 and _USED_UP not in self.text

    @property
    def wait(self) -> float | None:
        """The seconds that it asks to wait, None where it says nothing of it."""
        if self.for_good:
            return None
        named = _NAMED_WAIT.search(self.text)
        if named is None:
            return GREYLISTED_SECONDS if _GREYLISTED.search(self.text) else None
        seconds = float(named[1]) * (60 if named[2].lower().startswith("m") else 1)
        return min(max(seconds, _SHORTEST), _LONGEST)


def refusal(server: str, login_hint: str, error: smtplib.SMTPResponseException) -> DeliveryFailed:
    """What a refusal of anything but a recipient means."""
    reply = Reply.of(error.smtp_code, error.smtp_error)
    said = f"{server} answered {reply}"
    if reply.code in LOGIN_REPLIES:
        return DeliveryFailed(f"{said}; {login_hint}", refused=True)
    if not reply.for_good:
        return DeliveryFailed(said, retry_after=reply.wait)
    if reply.code == 552 or reply.status in _TOO_LARGE:
        return TooLarge(said, permanent=True)
    if isinstance(error, smtplib.SMTPConnectError | smtplib.SMTPHeloError):
        return DeliveryFailed(f"{said}; it wants no mails of this machine at all", refused=True)
    if isinstance(error, smtplib.SMTPSenderRefused):
        return DeliveryFailed(f"{said}; see the options from and bounces_to", refused=True)
    return DeliveryFailed(said, permanent=True)


def raise_if_by_policy(server: str, refused: Collection[Reply]) -> None:
    """Where all recipients are refused so, it is not about them: the next mail would meet the same."""
    if all(reply.for_good and reply.status.startswith(_POLICY) for reply in refused):
        advice = "see the options from and bounces_to, and what the account may send"
        raise DeliveryFailed(f"{server} answered {next(iter(refused))}; {advice}", refused=True)


def reason(error: Exception) -> str:
    """What went wrong where there was no reply, as one printable line."""
    return excerpt((str(error) or type(error).__name__).encode())
