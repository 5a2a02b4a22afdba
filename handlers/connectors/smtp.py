"""One SMTP conversation: connecting, logging in, handing over a mail, and what became of each recipient."""

import smtplib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

from pydantic import SecretStr

from handlers.connectors.answers import excerpt
from handlers.connectors.trust import trusting
from service.domain.delivery import DeliveryFailed, Publication, Published, Reference

_LOGIN_REPLIES = frozenset({530, 534, 535, 538})
"""Login needed, mechanism too weak, wrong login, encryption needed (RFC 4954 §6)."""

Replies = Mapping[str, tuple[int, bytes]]
"""What the server said to each recipient that it refused: code and text, as smtplib gives them."""


@dataclass(frozen=True)
class MailServer:
    """A server and how to log in there; as text it is `host:port`. `timeout` in seconds for each exchange."""

    host: str
    port: int
    security: str
    ca_file: Path | None
    username: str | None
    password: SecretStr | None
    timeout: float

    def __str__(self) -> str:
        user = f"{self.username} at " if self.username else ""
        return f"{user}{self.host}:{self.port}"


@dataclass(frozen=True)
class Mail:
    """A message and the addresses of its SMTP envelope, which alone decide who gets it."""

    message: EmailMessage
    sender: str
    to: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a message so far, by recipient: who has it, and who was refused for good or for now."""

    message_id: str = ""
    sent: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    deferred: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, publication: Publication) -> "Outcome":
        """What earlier attempts at this message saved."""
        reference, message_id = publication.reference, publication.message_id
        if reference.get("message_id") != message_id:
            return cls(message_id)
        return cls(message_id, tuple(reference.get("sent") or ()), dict(reference.get("refused") or {}))

    def reference(self) -> Reference:
        """What to remember for the next attempt."""
        return {"message_id": self.message_id, "sent": list(self.sent), "refused": dict(self.refused)}

    def remaining(self, everyone: Sequence[str]) -> tuple[str, ...]:
        """Who has neither got it nor been refused for good."""
        return tuple(one for one in everyone if one not in self.sent and one not in self.refused)

    def then(self, later: "Outcome") -> "Outcome":
        """The outcome after one more attempt."""
        sent, refused = (*self.sent, *later.sent), {**self.refused, **later.refused}
        return Outcome(self.message_id, sent, refused, later.deferred)

    def published(self, everyone: Sequence[str]) -> Published:
        """The result when it is one. Raises DeliveryFailed while some are deferred, or when nobody took it."""
        if self.deferred:
            others = f"; {len(self.sent)} of {len(everyone)} have it" if self.sent else ""
            raise DeliveryFailed(f"not taken for now: {_said(self.deferred)}{others}")
        if not self.sent:
            raise DeliveryFailed(f"every recipient was refused: {_said(self.refused)}", permanent=True)
        refused = f"; refused: {_said(self.refused)}" if self.refused else ""
        return Published(remark=f"sent to {len(self.sent)}{refused}", reference=self.reference())


@contextmanager
def session(server: MailServer) -> Iterator[smtplib.SMTP]:
    """Connects, secures, logs in, and says goodbye after the block. Raises DeliveryFailed."""
    with _translated(server):
        smtp = _connected(server)
    try:
        with _translated(server):
            _enter(smtp, server)
        yield smtp
    finally:
        with suppress(smtplib.SMTPException, OSError):  # a rude goodbye changes nothing that was done
            smtp.quit()
        smtp.close()


def transmit(smtp: smtplib.SMTP, server: MailServer, mail: Mail) -> Outcome:
    """Hands a mail over. Raises DeliveryFailed when nobody can have got it or nobody knows."""
    with _translated(server):
        try:
            refused = smtp.send_message(mail.message, mail.sender, list(mail.to))
        except smtplib.SMTPRecipientsRefused as error:
            refused = error.recipients
        _raise_if_login(refused)
    never = {one: _reply(*reply) for one, reply in refused.items() if reply[0] >= 500}
    deferred = {one: _reply(*reply) for one, reply in refused.items() if reply[0] < 500}
    return Outcome("", tuple(one for one in mail.to if one not in refused), never, deferred)


def size_limit(smtp: smtplib.SMTP) -> int | None:
    """The largest mail that the server takes, in bytes, where it says so (RFC 1870)."""
    said = smtp.esmtp_features.get("size", "").split()
    return int(said[0]) or None if said and said[0].isdigit() else None


def _connected(server: MailServer) -> smtplib.SMTP:
    if server.security == "tls":
        return smtplib.SMTP_SSL(
            server.host, server.port, timeout=server.timeout, context=trusting(server.ca_file)
        )
    return smtplib.SMTP(server.host, server.port, timeout=server.timeout)


def _enter(smtp: smtplib.SMTP, server: MailServer) -> None:
    if server.security == "starttls":
        smtp.starttls(context=trusting(server.ca_file))
    smtp.ehlo_or_helo_if_needed()
    if server.username is not None and server.password is not None:
        smtp.login(server.username, server.password.get_secret_value())


@contextmanager
def _translated(server: MailServer) -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise _failure(server, error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPNotSupportedError as error:
        raise DeliveryFailed(
            f"{server}: {error}; see the options security and username", refused=True
        ) from error
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryFailed(f"{server}: {_reason(error)}") from error


def _failure(server: MailServer, code: int, text: bytes | str) -> DeliveryFailed:
    said = f"{server} answered {_reply(code, text)}"
    if code in _LOGIN_REPLIES:
        return DeliveryFailed(f"{said}; see username and password", refused=True)
    return DeliveryFailed(said, permanent=code >= 500)


def _raise_if_login(refused: Replies) -> None:
    for code, text in refused.values():
        if code in _LOGIN_REPLIES:
            raise smtplib.SMTPResponseException(code, text)


def _reply(code: int, text: bytes | str) -> str:
    return f"{code} {excerpt(text if isinstance(text, bytes) else text.encode())}"


def _reason(error: Exception) -> str:
    return excerpt((str(error) or type(error).__name__).encode())


def _said(replies: Mapping[str, str]) -> str:
    return ", ".join(f"{one} ({reply})" for one, reply in sorted(replies.items()))
