"""Publishes by e-mail: SMTP with STARTTLS or TLS, text and HTML, the poster inline, the video attached or linked.

At least once: a connection that is lost after the server took the mail can't be told from one that was lost
before, so the retry sends it again, under the same Message-ID. Who has it already is not sent it again.
What happens after the server took a mail is told by bounces, which go to the sender: they are not read here.
"""

import smtplib
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from email.headerregistry import Address
from typing import ClassVar

from pydantic import BaseModel

from handlers.connectors.email_message import Envelope, Letter, MailingList, address, compose, list_id, specs
from handlers.connectors.email_options import PORTS, EmailOptions
from handlers.connectors.email_story import Composed, StoryMail
from handlers.connectors.email_texts import MailTexts
from handlers.connectors.email_wire import wire_of
from handlers.connectors.oauth_token import AccessTokens
from handlers.connectors.question_text import ask_by_notice
from handlers.connectors.smtp import (
    Dial,
    Mail,
    MailServer,
    dial,
    reset,
    session,
    size_limit,
    transmit,
)
from handlers.connectors.smtp_login import Login, PasswordLogin, TokenLogin
from handlers.connectors.smtp_outcome import Outcome
from handlers.connectors.smtp_replies import TooLarge
from handlers.message_text import clean, cut, line
from service.connectors import ConnectorTools
from service.domain.approvals import Question
from service.domain.delivery import DeliveryFailed, Notice, PreviewPart, Publication, Published, Withdrawal


class EmailConnector:
    """Sends each story as one mail to all recipients."""

    Options: ClassVar[type[BaseModel]] = EmailOptions

    def __init__(self, options: EmailOptions, tools: ConnectorTools, connect: Dial = dial) -> None:
        self._options = options
        self._tools = tools
        self._connect = connect
        self._server = _server(options, tools)
        self._envelope = _envelope(options)
        self._sender = address(options.bounces_to or options.from_).addr_spec
        self._everyone = specs([address(one) for one in (*options.to, *options.cc, *options.bcc)])
        self._texts = MailTexts(options, tools.base)
        self._list = MailingList(
            options.list_id or list_id(tools.destination, self._envelope.sender),
            options.list_unsubscribe,
            options.one_click,
        )

    def publish(self, publication: Publication) -> Published:
        """Sends to those who don't have it yet; later revisions are mails of their own in the same thread."""
        outcome = Outcome.of(publication)
        remaining = outcome.remaining(self._everyone)
        linked = ""
        if remaining:
            publication.check()
            with self._session() as smtp:
                later, linked = self._hand_over(smtp, publication, outcome, remaining)
            outcome = outcome.then(later)
        return outcome.published(self._everyone, linked, f"what bounces later goes to {self._sender}")

    def withdraw(self, withdrawal: Withdrawal) -> Published:
        """Nobody can."""
        raise DeliveryFailed(
            f"the mail of {cut(line(withdrawal.story.name), 100)} can't be taken back, as no mail can:"
            f" write to those who have it ({', '.join(self._everyone)})",
            permanent=True,
        )

    def preview(self, publication: Publication) -> Sequence[PreviewPart]:
        """The mail with its poster and video left empty, its HTML and its text."""
        return self._mail(publication).preview(attached=self._may_attach(publication))

    def notify(self, notice: Notice) -> Published:
        """Sends the notice as plain text."""
        at = f"{notice.at:%Y-%m-%d %H:%M} UTC"
        text = f"{clean(notice.text)}\n\n{line(notice.kind)}, {at}"
        letter = Letter(notice.id, "", f"[Storyrelay] {cut(line(notice.title), 150)}", text, notice.at)
        return self._send(letter)

    def ask(self, question: Question) -> Published:
        """Sends a mail with the link to the page where it is decided, and another one to remind."""
        return ask_by_notice(question, self._send_question)

    def _send_question(self, notice: Notice) -> Published:
        return self._send(
            Letter(notice.id, "", cut(line(notice.title), 150), clean(notice.text), self._tools.now())
        )

    def check(self) -> str:
        """Logs in and goes."""
        with self._session():
            return f"{self._server} lets us in"

    def send_test(self) -> Published:
        """Sends a mail that says that it is a test; mails can't be taken back."""
        text = "This is a test by Storyrelay. Nothing was published."
        return self._send(Letter(f"test-{uuid.uuid4()}", "", "[Storyrelay] Test", text, self._tools.now()))

    def _session(self) -> AbstractContextManager[smtplib.SMTP]:
        return session(self._server, self._connect)

    def _send(self, letter: Letter) -> Published:
        wire = wire_of(compose(self._envelope, letter))
        with self._session() as smtp:
            outcome = transmit(smtp, self._server, Mail(wire, self._sender, self._everyone, letter.id))
        return outcome.published(self._everyone)

    def _mail(self, publication: Publication) -> StoryMail:
        return StoryMail(publication, self._envelope, self._list, self._texts)

    def _hand_over(
        self, smtp: smtplib.SMTP, publication: Publication, before: Outcome, to: tuple[str, ...]
    ) -> tuple[Outcome, str]:
        """What became of it, which is saved, and why the video is linked, '' where it is not."""

        def keep(outcome: Outcome) -> None:
            publication.save(before.then(outcome).reference())

        def send(composed: Composed) -> tuple[Outcome, str]:
            mail = Mail(
                composed.wire,
                self._sender,
                to,
                publication.message_id,
                publication.check,
                publication.sent,
                keep,
                publication.unbroken,
            )
            return transmit(smtp, self._server, mail), composed.linked

        mail = self._mail(publication)
        poster = mail.poster()
        if not self._may_attach(publication):
            return send(mail.linking(poster, "it is larger than attach_limit"))
        with publication.files.video() as path:
            composed = mail.attaching(path, poster, size_limit(smtp))
            try:
                return send(composed)
            except TooLarge as refusal:
                if composed.linked:
                    raise
                why = str(refusal)
        reset(smtp, self._server)
        self._tools.pace()
        return send(mail.linking(poster, why))

    def _may_attach(self, publication: Publication) -> bool:
        return publication.video.bytes <= self._options.attach_limit


def _server(options: EmailOptions, tools: ConnectorTools) -> MailServer:
    port = options.port or PORTS[options.security]
    return MailServer(
        host=options.host,
        port=port,
        security=options.security,
        ca_file=None if options.ca_file is None else tools.base / options.ca_file,
        login=_login(options, port, tools),
        timeout=options.timeout,
        data_timeout=options.data_timeout,
    )


def _login(options: EmailOptions, port: int, tools: ConnectorTools) -> Login | None:
    if options.username is None:
        return None
    if options.oauth2 is not None:
        tokens = AccessTokens(options.oauth2, tools.http, tools.now)
        return TokenLogin(options.username, tokens, options.host, port)
    return None if options.password is None else PasswordLogin(options.username, options.password)


def _envelope(options: EmailOptions) -> Envelope:
    def read(texts: tuple[str, ...]) -> tuple[Address, ...]:
        return tuple(address(one) for one in texts)

    reply_to = None if options.reply_to is None else address(options.reply_to)
    return Envelope(address(options.from_), read(options.to), read(options.cc), reply_to)
