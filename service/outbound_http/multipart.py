"""Forms with files in them (RFC 7578), whose files are streamed from disk."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from service.outbound_http.messages import FileBody, JoinedBody

_QUOTED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
"""How browsers write what would end a quoted name (WHATWG HTML, "multipart/form-data encoding algorithm")."""


@dataclass(frozen=True)
class FormField:
    """A text in a form."""

    name: str
    value: str


@dataclass(frozen=True)
class FormFile:
    """A file in a form. `name` is the field's, `filename` what the receiver shall call it."""

    name: str
    filename: str
    content_type: str
    body: bytes | FileBody


def multipart(parts: Sequence[FormField | FormFile]) -> tuple[str, JoinedBody]:
    """Returns the Content-Type and the body of a form, its parts in the order given."""
    boundary = f"storyrelay-{uuid.uuid4().hex}"
    pieces: list[bytes | FileBody] = []
    for part in parts:
        pieces += [f"--{boundary}\r\n{_head(part)}\r\n\r\n".encode(), _content(part), b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", JoinedBody(tuple(pieces))


def _head(part: FormField | FormFile) -> str:
    disposition = f'Content-Disposition: form-data; name="{part.name.translate(_QUOTED)}"'
    if isinstance(part, FormField):
        return disposition
    return (
        f'{disposition}; filename="{part.filename.translate(_QUOTED)}"\r\nContent-Type: {part.content_type}'
    )


def _content(part: FormField | FormFile) -> bytes | FileBody:
    return part.value.encode() if isinstance(part, FormField) else part.body
