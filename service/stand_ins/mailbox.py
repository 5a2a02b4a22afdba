"""An SMTP server that keeps what it is sent: STARTTLS or TLS, login, and the faults of real ones."""

import asyncio
import base64
import json
import secrets
import socket
import ssl
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope, LoginPassword, Session

ACCEPTED = "250 2.0.0 Kept"
BY_TOKEN = frozenset({"XOAUTH2", "OAUTHBEARER"})


@dataclass(frozen=True)
class Mail:
    """One message that was accepted: its envelope, and the message parsed."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage


@dataclass
class MailFaults:
    """What goes wrong, and how often.

    `greylist`: that many RCPT commands of each address get 451. `refuse`: RCPT replies by address.
    `data`: replies to the next messages instead of accepting them.
    `drop_after_accept`: that many messages are kept, then the connection is cut without a reply.
    `mute_after_accept`: that many messages are kept, then nothing is said until the mailbox closes.
    """

    greylist: int = 0
    refuse: dict[str, str] = field(default_factory=dict)
    data: deque[str] = field(default_factory=deque)
    drop_after_accept: int = 0
    mute_after_accept: int = 0


class Mailbox:
    """Listens on loopback while its `with` block is open.

    `tls`: a server's context, then STARTTLS is offered (or, with `implicit_tls`, spoken at once).
    `login`: the user and password that must be used. `folder`: gets each message as an .eml file.
    `by_token`: the mechanisms (XOAUTH2, OAUTHBEARER) by which `tokens` of users are taken: pairs of user and access
    token, which may change meanwhile.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        login: tuple[str, str] | None = None,
        by_token: frozenset[str] = frozenset(),
        folder: Path | None = None,
        size_limit: int = 50 * 2**20,
    ) -> None:
        self.faults = MailFaults()
        self._messages: list[Mail] = []
        self._greylisted: Counter[str] = Counter()
        self._login = login
        self._by_token = by_token
        self.tokens: set[tuple[str, str]] = set()
        self._folder = folder
        self._socket = socket.create_server(("127.0.0.1", port))
        self.host, self.port = self._socket.getsockname()
        self._tls = tls
        self._implicit_tls = implicit_tls
        self._size_limit = size_limit
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    @property
    def messages(self) -> list[Mail]:
        """What was accepted so far, in order."""
        return list(self._messages)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(ready))
        self._loop.close()

    async def _serve(self, ready: threading.Event) -> None:
        context = self._tls if self._implicit_tls else None
        server = await self._loop.create_server(self._protocol, sock=self._socket, ssl=context)
        ready.set()
        await self._closing.wait()
        server.close()
        await self._end_connections()

    async def _end_connections(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _protocol(self) -> SMTP:
        return SMTP(
            self,
            hostname="mailbox.test",
            ident="mailbox",
            loop=self._loop,
            data_size_limit=self._size_limit,
            enable_SMTPUTF8=True,
            tls_context=None if self._implicit_tls else self._tls,
            auth_required=self._login is not None or bool(self._by_token),
            auth_exclude_mechanism=[
                *(BY_TOKEN - self._by_token),
                *(["LOGIN", "PLAIN"] if self._by_token else []),
            ],
            auth_require_tls=self._tls is not None and not self._implicit_tls,
            authenticator=self._authenticate,
        )

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _: str, data: Any
    ) -> AuthResult:
        given = data if isinstance(data, LoginPassword) else LoginPassword(b"", b"")
        user, password = self._login or ("", "")
        right = secrets.compare_digest(given.login, user.encode())
        right = right and secrets.compare_digest(given.password, password.encode())
        return AuthResult(success=right, handled=False)  # aiosmtpd then answers 535 itself

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802 (aiosmtpd finds it so)
        """As Google and Microsoft document it: a refusal is told as a challenge, which is answered by an empty line."""
        words = dict(word.partition("=")[::2] for word in await _first_words(server, args))
        return await self._judge(server, words.get("user", ""), words.get("auth", ""), b"")

    async def auth_OAUTHBEARER(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802
        """RFC 7628: after a GS2 header with the user's name; the challenge is answered by one control character."""
        header, *rest = await _first_words(server, args)
        words = dict(word.partition("=")[::2] for word in rest)
        user = header.removeprefix("n,a=").removesuffix(",").replace("=2C", ",").replace("=3D", "=")
        return await self._judge(server, user, words.get("auth", ""), b"\1")

    async def _judge(self, server: SMTP, user: str, auth: str, acknowledged: bytes) -> AuthResult:
        if (user, auth.removeprefix("Bearer ")) in self.tokens:
            return AuthResult(success=True)
        told = {"status": "401", "schemes": "bearer", "scope": "https://mail.example.test/"}
        if await server.challenge_auth(json.dumps(told)) != acknowledged:
            return AuthResult(success=False, handled=False, message="501 5.5.2 Not how a refusal is answered")
        return AuthResult(success=False, handled=False)

    async def handle_RCPT(  # noqa: N802 (aiosmtpd finds its hooks by name)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Refuses or greylists a recipient (RFC 5321 §3.3)."""
        if address in self.faults.refuse:
            return self.faults.refuse[address]
        if self._greylisted[address] < self.faults.greylist:
            self._greylisted[address] += 1
            return "451 4.7.1 Greylisted, please try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keeps a message, or fails as it was told."""
        if self.faults.data:
            return self.faults.data.popleft()
        self._keep(envelope)
        if self.faults.drop_after_accept:
            self.faults.drop_after_accept -= 1
            _cut(server)
        if self.faults.mute_after_accept:
            self.faults.mute_after_accept -= 1
            await self._closing.wait()
        return ACCEPTED

    def _keep(self, envelope: Envelope) -> None:
        content = envelope.original_content or b""
        message = message_from_bytes(content, policy=policy.default)
        self._messages.append(Mail(envelope.mail_from or "", tuple(envelope.rcpt_tos), message))
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{len(self._messages):04}.eml").write_bytes(content)


async def _first_words(server: SMTP, args: list[str]) -> list[str]:
    """What the client says first, with the command or after an empty challenge, split where ^A stands."""
    said = base64.b64decode(args[1]) if len(args) > 1 else await server.challenge_auth("")
    return ("" if said is MISSING else bytes(said).decode()).split("\1")


def _cut(server: SMTP) -> None:
    if isinstance(server.transport, asyncio.Transport):
        server.transport.abort()
