"""The mail of one story, with its video attached or linked."""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from handlers.connectors.email_message import (
    Envelope,
    Letter,
    MailingList,
    add_poster,
    compose,
    file_name,
    message_id,
)
from handlers.connectors.email_poster import with_play_mark
from handlers.connectors.email_texts import MailTexts, Texts
from handlers.connectors.email_wire import Wire, wire_of, wire_with
from handlers.message_text import readable
from service.domain.delivery import PreviewPart, Publication


@dataclass(frozen=True)
class Composed:
    """A mail to send; `linked` says why its video is not attached, '' where it is."""

    wire: Wire
    linked: str = ""


@dataclass(frozen=True)
class StoryMail:
    """Composes the mail of one publication."""

    publication: Publication
    envelope: Envelope
    mailing_list: MailingList
    texts: MailTexts

    def attaching(self, video: Path, poster: bytes | None, limit: int | None) -> Composed:
        """With the video, which is read when it is sent; linked when that makes more bytes than the limit."""
        wire = wire_with(self._message(poster, attached=True), video, self._file_name)
        if limit is not None and wire.size > limit:
            return self.linking(poster, f"the server takes no mail of more than {limit} bytes")
        return Composed(wire)

    def linking(self, poster: bytes | None, why: str) -> Composed:
        """With a link to the video only."""
        return Composed(wire_of(self._message(poster, attached=False)), f"the video is linked: {why}")

    def poster(self) -> bytes | None:
        """The poster as it is shown, None where there is none."""
        poster = self.publication.files.poster()
        if poster is None:
            return None
        with poster as path:
            return with_play_mark(path)

    def preview(self, *, attached: bool) -> Sequence[PreviewPart]:
        """The mail with its poster and video left empty, and its texts as people read them."""
        poster = None if self.publication.files.poster() is None else b""
        texts = self._rendered(poster, attached=attached)
        message = self._message(poster, attached=attached)
        if attached:
            message.add_attachment(b"", maintype="video", subtype="mp4", filename=self._file_name)
        return (
            PreviewPart("mail.eml", bytes(message).decode("utf-8", "replace").replace("\r\n", "\n")),
            PreviewPart("mail.html", texts.html),
            PreviewPart("mail.txt", f"{texts.subject}\n\n{texts.text}"),
        )

    def _message(self, poster: bytes | None, *, attached: bool) -> EmailMessage:
        texts = self._rendered(poster, attached=attached)
        letter = Letter(
            id=self.publication.message_id,
            thread=self.publication.key,
            subject=texts.subject,
            text=texts.text,
            html=texts.html,
            at=self.publication.published_at,
            mailing_list=self.mailing_list,
        )
        message = compose(self.envelope, letter)
        if poster is not None:
            add_poster(message, poster, self._cid)
        return message

    def _rendered(self, poster: bytes | None, *, attached: bool) -> Texts:
        cid = None if poster is None else self._cid
        return self.texts.render(self.publication, attached=attached, poster_cid=cid)

    @property
    def _cid(self) -> str:
        return message_id(f"poster of {self.publication.message_id}", self.envelope.sender).strip("<>")

    @property
    def _file_name(self) -> str:
        return file_name(readable(self.publication.story).name)
