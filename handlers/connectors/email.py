"""Publishes by e-mail: SMTP with STARTTLS or TLS, text and HTML, the poster inline, the video attached or linked.

At least once: a connection that is lost after the server took the mail can't be told from one that was lost
before, so the retry sends it again, under the same Message-ID. Who has it already is not sent it again.
"""

import uuid
from email.headerregistry import Address
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from handlers.connectors.email_message import (
    Envelope,
    Letter,
    add_poster,
    add_video,
    address,
    compose,
    message_id,
    specs,
)
from handlers.connectors.options import ConnectorOptions
from handlers.connectors.smtp import Mail, MailServer, Outcome, session, size_limit, transmit
from handlers.message_text import MessageText, Place, clean, cut, line, readable, values_of
from service.connectors import ConnectorTools
from service.domain.delivery import Notice, Publication, Published

PORTS = {"starttls": 587, "tls": 465, "none": 25}
_INFLATION = 1.4
"""Base64 in lines makes 78 bytes of 57."""
_REST = 500_000
"""Bytes of a mail beside the video: texts, headers, the poster."""


def _mail_address(text: str) -> str:
    address(text)
    return text


MailAddress = Annotated[str, AfterValidator(_mail_address)]


class EmailOptions(ConnectorOptions):
    """`security`: starttls, tls, or none (only to this machine, or with `insecure = true`).

    `subject` is a template text, `template` and `text_template` are files relative to the configuration file;
    `ca_file` holds the certificate authority of a private server. `attach_limit` in bytes, `timeout` in seconds.
    """

    host: str = Field(min_length=1)
    port: int | None = Field(default=None, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    insecure: bool = False
    ca_file: Path | None = None
    username: str | None = None
    password: SecretStr | None = None
    from_: MailAddress = Field(alias="from")
    to: tuple[MailAddress, ...] = Field(min_length=1)
    cc: tuple[MailAddress, ...] = ()
    bcc: tuple[MailAddress, ...] = ()
    reply_to: MailAddress | None = None
    subject: str | None = None
    template: Path | None = None
    text_template: Path | None = None
    attach_limit: int = Field(default=10_000_000, ge=0)
    timeout: float = Field(default=30, gt=0, le=600)

    @model_validator(mode="after")
    def _fits_together(self) -> "EmailOptions":
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        if self.security == "none" and not (self.insecure or _is_this_machine(self.host)):
            raise ValueError(
                "security = none to another machine shows mails and password: say insecure = true"
            )
        return self


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class EmailConnector:
    """Sends each story as one mail to all recipients."""

    Options: ClassVar[type[BaseModel]] = EmailOptions

    def __init__(self, options: EmailOptions, tools: ConnectorTools) -> None:
        self._options = options
        self._tools = tools
        self._server = _server(options, tools.base)
        self._envelope = _envelope(options)
        self._sender = self._envelope.sender.addr_spec
        self._everyone = specs([address(one) for one in (*options.to, *options.cc, *options.bcc)])
        self._subject = MessageText("email_subject.txt.jinja", Place.PLAIN, options.subject)
        self._text = MessageText("email.txt.jinja", Place.PLAIN, _file(options.text_template, tools.base))
        self._html = MessageText("email.html.jinja", Place.HTML, _file(options.template, tools.base))

    def publish(self, publication: Publication) -> Published:
        """Sends to those who don't have it yet; later revisions are mails of their own in the same thread."""
        outcome = Outcome.of(publication)
        remaining = outcome.remaining(self._everyone)
        if remaining:
            publication.check()
            with session(self._server) as smtp:
                mail = Mail(self._message(publication, size_limit(smtp)), self._sender, remaining)
                outcome = outcome.then(transmit(smtp, self._server, mail))
                publication.save(outcome.reference())  # at once: whatever follows must not send it again
        return outcome.published(self._everyone)

    def notify(self, notice: Notice) -> Published:
        """Sends the notice as plain text."""
        at = f"{notice.at:%Y-%m-%d %H:%M} UTC"
        text = f"{clean(notice.text)}\n\n{line(notice.kind)}, {at}"
        letter = Letter(notice.id, "", f"[Storyrelay] {cut(line(notice.title), 150)}", text, notice.at)
        return self._send(letter)

    def check(self) -> str:
        """Logs in and goes."""
        with session(self._server):
            return f"{self._server} lets us in"

    def send_test(self) -> Published:
        """Sends a mail that says that it is a test; mails can't be taken back."""
        text = "This is a test by Storyrelay. Nothing was published."
        return self._send(Letter(f"test-{uuid.uuid4()}", "", "[Storyrelay] Test", text, self._tools.now()))

    def _send(self, letter: Letter) -> Published:
        with session(self._server) as smtp:
            mail = Mail(compose(self._envelope, letter), self._sender, self._everyone)
            outcome = transmit(smtp, self._server, mail)
        return outcome.published(self._everyone)

    def _message(self, publication: Publication, limit: int | None) -> EmailMessage:
        attached = self._may_attach(publication.video.bytes, limit)
        poster = publication.files.poster()
        cid = message_id(f"poster of {publication.message_id}", self._envelope.sender).strip("<>")
        values = values_of(publication, attached=attached, poster_cid=None if poster is None else cid)
        letter = Letter(
            id=publication.message_id,
            thread=publication.key,
            subject=cut(line(self._subject.render(values)), 200),
            text=self._text.render(values),
            html=self._html.render(values),
            at=publication.published_at,
        )
        message = compose(self._envelope, letter)
        if poster is not None:
            with poster as path:
                add_poster(message, path.read_bytes(), cid)
        if attached:
            with publication.files.video() as path:
                add_video(message, path.read_bytes(), readable(publication.story).name)
        return message

    def _may_attach(self, video: int, limit: int | None) -> bool:
        fits = limit is None or video * _INFLATION + _REST <= limit
        return fits and video <= self._options.attach_limit


def _server(options: EmailOptions, base: Path) -> MailServer:
    return MailServer(
        host=options.host,
        port=options.port or PORTS[options.security],
        security=options.security,
        ca_file=_file(options.ca_file, base),
        username=options.username,
        password=options.password,
        timeout=options.timeout,
    )


def _envelope(options: EmailOptions) -> Envelope:
    def read(texts: tuple[str, ...]) -> tuple[Address, ...]:
        return tuple(address(one) for one in texts)

    reply_to = None if options.reply_to is None else address(options.reply_to)
    return Envelope(address(options.from_), read(options.to), read(options.cc), reply_to)


def _file(path: Path | None, base: Path) -> Path | None:
    return None if path is None else base / path
