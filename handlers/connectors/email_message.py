"""Composes mails: text and HTML, the poster inline by its content id (RFC 5322, RFC 2387), headers of lists."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses

_UNSAFE = re.compile(r"[^A-Za-z0-9]+")
_POLICY = policy.SMTP.clone(max_line_length=78, cte_type="7bit")  # servers without 8BITMIME take it, too


@dataclass(frozen=True)
class Envelope:
    """Who a mail is from and who can read that it went to them; blind copies are not in it."""

    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...] = ()
    reply_to: Address | None = None

    @property
    def international(self) -> bool:
        """Whether an address of it needs SMTPUTF8 (RFC 6531)."""
        everyone = [self.sender, *self.to, *self.cc, *([self.reply_to] if self.reply_to else [])]
        return not all(one.addr_spec.isascii() for one in everyone)


@dataclass(frozen=True)
class MailingList:
    """What mail programs sort by (RFC 2919) and unsubscribe with (RFC 2369, RFC 8058)."""

    id: str
    unsubscribe: tuple[str, ...] = ()
    one_click: bool = False


@dataclass(frozen=True)
class Letter:
    """What a mail says. `id` decides its Message-ID, `thread` (may be empty) the one that it refers to."""

    id: str
    thread: str
    subject: str
    text: str
    at: datetime
    html: str = ""
    mailing_list: MailingList | None = None


def address(text: str) -> Address:
    """Reads `user@example.com` or `A name <user@example.com>`. Raises ValueError, without quoting the text."""
    wrong = ValueError("must be one e-mail address, as user@example.com or A name <user@example.com>")
    found = getaddresses([text])
    user, _, domain = found[0][1].rpartition("@") if len(found) == 1 else ("", "", "")
    if not user or not domain or not text.isprintable() or " " in user + domain:
        raise wrong
    try:
        return Address(found[0][0], user, domain)
    except (ValueError, LookupError):
        raise wrong from None


def compose(envelope: Envelope, letter: Letter) -> EmailMessage:
    """The mail, equal for equal letters but for the boundaries of its parts."""
    message = EmailMessage(policy=_POLICY.clone(utf8=True) if envelope.international else _POLICY)
    message["From"] = envelope.sender
    message["To"] = envelope.to
    if envelope.cc:
        message["Cc"] = envelope.cc
    if envelope.reply_to is not None:
        message["Reply-To"] = envelope.reply_to
    message["Subject"] = _plain_words(letter.subject)
    message["Date"] = format_datetime(letter.at)
    message["Message-ID"] = message_id(letter.id, envelope.sender)
    if letter.thread:
        message["References"] = message_id(letter.thread, envelope.sender)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: keeps vacation replies away
    if letter.mailing_list is not None:
        _add_list(message, letter.mailing_list)
    message.set_content(letter.text + "\n")
    if letter.html:
        message.add_alternative(letter.html, subtype="html")
    return message


def _add_list(message: EmailMessage, mailing_list: MailingList) -> None:
    message["List-Id"] = f"<{mailing_list.id}>"
    if mailing_list.unsubscribe:
        message["List-Unsubscribe"] = ", ".join(f"<{one}>" for one in mailing_list.unsubscribe)
    if mailing_list.one_click:
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"


def _plain_words(subject: str) -> str:
    # Python's header parser decodes `=?utf-8?q?…?=` in what we give it, line breaks included, and writes these raw
    # (CVE-2024-6923): a title could begin headers of its own. A word joiner within the mark leaves it a text.
    return subject.replace("=?", "=\u2060?")


def add_poster(message: EmailMessage, jpeg: bytes, cid: str) -> None:
    """Puts the poster beside the HTML part, which shows it by `cid:`."""
    html = message.get_body(("html",))
    if html is None:
        raise ValueError("a poster needs an HTML part")
    html.add_related(jpeg, "image", "jpeg", cid=f"<{cid}>", disposition="inline", filename="poster.jpg")


def file_name(name: str) -> str:
    """A file name for the video, made of what the story is called."""
    stem = _UNSAFE.sub("-", name).strip("-")[:60] or "video"
    return f"{stem}.mp4"


def message_id(about: str, sender: Address) -> str:
    """The Message-ID that belongs to one message of ours: a repeat has the same."""
    return f"<{hashlib.sha256(about.encode()).hexdigest()[:40]}@{sender.domain}>"


def list_id(destination: str, sender: Address) -> str:
    """The List-Id of a destination that is given none, in the sender's own name space (RFC 2919 §3)."""
    name = _UNSAFE.sub("-", destination).strip("-").lower() or "stories"
    return f"{name}.storyrelay.{sender.domain}"


def specs(addresses: Sequence[Address]) -> tuple[str, ...]:
    """The bare addresses, each once."""
    return tuple(dict.fromkeys(one.addr_spec for one in addresses))
