"""One SMTP conversation: connecting, logging in, handing over a mail, and what was said to each recipient."""

import smtplib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from handlers.connectors.email_wire import Wire
from handlers.connectors.smtp_login import Login
from handlers.connectors.smtp_outcome import Outcome
from handlers.connectors.smtp_replies import (
    LOGIN_REPLIES,
    NO_LOGIN,
    Reply,
    raise_if_by_policy,
    reason,
    refusal,
)
from handlers.connectors.trust import trusting
from service.domain.delivery import DeliveryFailed


@dataclass(frozen=True)
class MailServer:
    """A server and how to log in there; as text it is `user at host:port`.

    `timeout` in seconds for each exchange, `data_timeout` for the answer to a whole mail.
    """

    host: str
    port: int
    security: str
    ca_file: Path | None
    login: Login | None
    timeout: float
    data_timeout: float

    def __str__(self) -> str:
        user = f"{self.login.username} at " if self.login else ""
        return f"{user}{self.host}:{self.port}"


@dataclass(frozen=True)
class Mail:
    """A mail's bytes and the addresses of its SMTP envelope, which alone decide who gets it.

    `id` is given back in bounces (RFC 3461, ENVID). `check` raises when sending must stop.
    `sent` is told the bytes that went of all.
    `keep` remembers what became of it, at once; nothing comes between the mail's last byte and that, by `unbroken`.
    """

    wire: Wire
    sender: str
    to: tuple[str, ...]
    id: str
    check: Callable[[], None] = lambda: None
    sent: Callable[[int, int], None] = lambda _sent, _size: None
    keep: Callable[[Outcome], None] = lambda _outcome: None
    unbroken: Callable[[], AbstractContextManager[None]] = nullcontext


Dial = Callable[[MailServer], smtplib.SMTP]
"""Connects to a server."""


def dial(server: MailServer) -> smtplib.SMTP:
    """Connects; with `security` tls the whole conversation is encrypted. Raises OSError, smtplib.SMTPException."""
    if server.security == "tls":
        return smtplib.SMTP_SSL(
            server.host, server.port, timeout=server.timeout, context=trusting(server.ca_file)
        )
    return smtplib.SMTP(server.host, server.port, timeout=server.timeout)


@contextmanager
def session(server: MailServer, connect: Dial = dial) -> Iterator[smtplib.SMTP]:
    """Connects, secures, logs in, and says goodbye after the block. Raises DeliveryFailed."""
    smtp = _entered(server, connect)
    try:
        yield smtp
    finally:
        _leave(smtp)


def transmit(smtp: smtplib.SMTP, server: MailServer, mail: Mail) -> Outcome:
    """Hands a mail over. Raises DeliveryFailed when nobody can have got it or nobody knows, TooLarge."""
    with _translated(server):
        _envelope_from(smtp, mail)
        refused = _envelope_to(smtp, mail)
        if len(refused) < len(mail.to):
            _data(smtp, mail)
        else:
            smtp.rset()
            raise_if_by_policy(str(server), refused.values())
    never = {one: str(reply) for one, reply in refused.items() if reply.for_good}
    deferred = {one: reply for one, reply in refused.items() if not reply.for_good}
    outcome = Outcome("", tuple(one for one in mail.to if one not in refused), never, deferred)
    with mail.unbroken():
        if outcome.sent:
            with _translated(server):
                _final_dot(smtp, server)
        mail.keep(outcome)
    return outcome


def reset(smtp: smtplib.SMTP, server: MailServer) -> None:
    """Ends a mail that was refused, so that another may begin. Raises DeliveryFailed."""
    with _translated(server):
        smtp.rset()


def size_limit(smtp: smtplib.SMTP) -> int | None:
    """The largest mail that the server takes, in bytes, where it says so (RFC 1870)."""
    said = smtp.esmtp_features.get("size", "").split()
    return int(said[0]) or None if said and said[0].isdigit() else None


def _entered(server: MailServer, connect: Dial) -> smtplib.SMTP:
    try:
        return _logged_in(server, connect)
    except DeliveryFailed as error:
        if not error.refused or server.login is None or not server.login.renew():
            raise
    return _logged_in(server, connect)  # on a new connection: some servers end one whose login failed


def _logged_in(server: MailServer, connect: Dial) -> smtplib.SMTP:
    with _translated(server):
        smtp = connect(server)
        try:
            if server.security == "starttls":
                smtp.starttls(context=trusting(server.ca_file))
            smtp.ehlo_or_helo_if_needed()
            if server.login is not None:
                server.login.enter(smtp)
        except BaseException:
            _leave(smtp)
            raise
        return smtp


def _leave(smtp: smtplib.SMTP) -> None:
    with suppress(smtplib.SMTPException, OSError):  # a rude goodbye changes nothing that was done
        smtp.quit()
    smtp.close()


def _envelope_from(smtp: smtplib.SMTP, mail: Mail) -> None:
    options = []
    if smtp.has_extn("size"):
        options.append(f"SIZE={mail.wire.size}")
    if not all(one.isascii() for one in (mail.sender, *mail.to)):
        options.append("SMTPUTF8")  # smtplib refuses it where the server has no such extension
    if smtp.has_extn("dsn"):
        options += ["RET=HDRS", f"ENVID={_xtext(mail.id)}"]
    code, text = smtp.mail(mail.sender, options)
    if code != 250:
        raise smtplib.SMTPSenderRefused(code, text, mail.sender)


def _envelope_to(smtp: smtplib.SMTP, mail: Mail) -> Mapping[str, Reply]:
    options = ["NOTIFY=FAILURE,DELAY"] if smtp.has_extn("dsn") else []
    refused = {}
    for one in mail.to:
        code, text = smtp.rcpt(one, options)
        if code == 421 or code in LOGIN_REPLIES:  # said of the whole conversation, not of this recipient
            raise smtplib.SMTPResponseException(code, text)
        if code not in (250, 251):
            refused[one] = Reply.of(code, text)
    return refused


def _data(smtp: smtplib.SMTP, mail: Mail) -> None:
    code, text = smtp.docmd("DATA")
    if code != 354:
        raise smtplib.SMTPDataError(code, text)
    went, size = 0, mail.wire.size
    try:
        for chunk in mail.wire.chunks():
            mail.check()
            smtp.send(chunk)
            went += len(chunk)
            mail.sent(min(went, size), size)  # dots that are made safe are no part of the size
    except BaseException:
        smtp.close()  # before the final dot, so that the server throws away what it has
        raise


def _final_dot(smtp: smtplib.SMTP, server: MailServer) -> None:
    """By which the server takes the mail, or refuses it, after pondering as long as it likes."""
    smtp.send(b".\r\n")
    if smtp.sock is not None:
        smtp.sock.settimeout(server.data_timeout)
    code, text = smtp.getreply()
    if code != 250:
        raise smtplib.SMTPDataError(code, text)


@contextmanager
def _translated(server: MailServer) -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise refusal(str(server), server.login.hint if server.login else NO_LOGIN, error) from error
    except smtplib.SMTPNotSupportedError as error:
        raise DeliveryFailed(
            f"{server}: {error}; see the options security and username", refused=True
        ) from error
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryFailed(f"{server}: {reason(error)}") from error


def _xtext(text: str) -> str:
    """As RFC 3461 §4 writes what may hold any character."""
    return "".join(
        c if "!" <= c <= "~" and c not in "+=" else "".join(f"+{b:02X}" for b in c.encode()) for c in text
    )
