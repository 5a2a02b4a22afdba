"""The contract of all connectors, against a server that wants STARTTLS and a login."""

import hashlib
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import pytest

from handlers.connectors import email_story, smtp
from handlers.connectors.email import EmailConnector, EmailOptions
from handlers.connectors.email_poster import with_play_mark
from service.connector_contract import ConnectorContract, Faults, Seen
from service.connectors import ConnectorTools
from service.stand_ins.mailbox import Mailbox

PASSWORD = "t0ps3cret"


@dataclass
class MailPlace:
    box: Mailbox
    certificate: Path
    tools: ConnectorTools

    def connector(self, faults: Faults) -> EmailConnector:
        options = EmailOptions.model_validate(
            {
                "host": "localhost",
                "port": self.box.port,
                "username": "relay",
                "password": PASSWORD,
                "ca_file": self.certificate,
                "from": "Relay <relay@example.test>",
                "to": ["ann@example.test", "bob@example.test"],
                "attach_limit": 100_000_000,
            }
        )

        def connect(server: smtp.MailServer) -> smtplib.SMTP:
            opened = faults.around(smtp.dial, _lost)(server)

            def lost() -> Exception:
                opened.close()
                return _lost()

            opened.getreply = faults.around(opened.getreply, lost)  # type: ignore[method-assign]
            return opened

        return EmailConnector(options, self.tools, connect)

    def seen(self, key: str) -> Sequence[Seen]:
        thread = f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@example.test>"
        mails = [mail.message for mail in self.box.messages]
        return [_seen(mail) for mail in mails if mail["References"] == thread]


def _lost() -> Exception:
    return smtplib.SMTPServerDisconnected("Connection unexpectedly closed")


def _seen(mail: EmailMessage) -> Seen:
    (video,) = mail.iter_attachments()
    digest = hashlib.sha256(video.get_content()).hexdigest()
    return Seen(mail["Subject"], digest, mail["Message-ID"])


class TestEmail(ConnectorContract):
    once: ClassVar[bool] = False
    updates: ClassVar[bool] = False
    withdraws: ClassVar[bool] = False
    over_http: ClassVar[bool] = False

    @pytest.fixture(autouse=True)
    def drawn_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A process is started to draw the poster's play mark: once for the same poster is enough here."""
        drawn = lru_cache(with_play_mark)
        monkeypatch.setattr(email_story, "with_play_mark", drawn)

    @pytest.fixture
    def place(self, tls: ssl.SSLContext, certificate: Path, tools: ConnectorTools) -> Iterator[MailPlace]:
        with Mailbox(tls=tls, login=("relay", PASSWORD), size_limit=200_000_000) as box:
            yield MailPlace(box, certificate, tools)
