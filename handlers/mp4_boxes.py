"""The outermost structure of an MP4 file (ISO/IEC 14496-12, 4.2): enough to tell a cut or foreign file at once.

A file whose index is at its start probes and decodes without an error when its end is missing. That the last box
ends where the file ends is what shows it.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from handlers.video_decoder.facts import VideoRefused

_FIRST = {b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"}
_MOST_BOXES = 200_000  # six hours in one-second fragments are 43,200
_MARKUP = (b"<", b"{", b"[", b"#EXTM3U", b"\xef\xbb\xbf")


@dataclass(frozen=True)
class _Box:
    kind: bytes
    start: int
    end: int


def check_boxes(path: Path) -> int:
    """Walk the file's outermost boxes and return its size in bytes; raises VideoRefused and OSError."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        _check_start(os.pread(file.fileno(), 512, 0))
        kinds = {box.kind for box in _boxes(file.fileno(), size)}
    if b"moov" not in kinds:
        raise VideoRefused("its index ('moov' box) is missing, so it was cut or never finished", cut=True)
    if not kinds & {b"mdat", b"moof"}:
        raise VideoRefused("it has an index but no pictures ('mdat' box), so it was cut", cut=True)
    return size


def _check_start(head: bytes) -> None:
    if not head:
        raise VideoRefused("the file is empty", cut=True)
    if len(head) >= 8 and head[4:8] in _FIRST:
        return
    if len(head) < 8 and head[:3] == b"\0\0\0"[: len(head)]:
        raise VideoRefused(f"it ends after {len(head)} bytes", cut=True)
    if head.lstrip().startswith(_MARKUP):
        raise VideoRefused("it is a web page or other text, not a video")
    raise VideoRefused("it isn't an MP4 file")


def _boxes(handle: int, size: int) -> Iterator[_Box]:
    position = 0
    for _ in range(_MOST_BOXES):
        if position == size:
            return
        box = _read_box(handle, position, size)
        if box.end > size:
            raise VideoRefused(
                f"it ends inside its '{_name(box.kind)}' box: {size:,} of at least {box.end:,} bytes are there",
                cut=True,
            )
        yield box
        position = box.end
    raise VideoRefused(f"it has more than {_MOST_BOXES:,} boxes")


def _read_box(handle: int, position: int, size: int) -> _Box:
    head = os.pread(handle, 16, position)
    if len(head) < 8:
        raise VideoRefused(f"it ends inside a box's header at byte {position:,}", cut=True)
    length, kind = struct.unpack(">I4s", head[:8])
    header = 8
    if length == 0:
        length = size - position
    elif length == 1:
        header = 16
        if len(head) < 16:
            raise VideoRefused(f"it ends inside a box's header at byte {position:,}", cut=True)
        (length,) = struct.unpack(">Q", head[8:16])
    if length < header:
        raise VideoRefused(
            f"its '{_name(kind)}' box at byte {position:,} is {length} bytes long, which can't be"
        )
    return _Box(kind, position, position + length)


def _name(kind: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F and byte != 0x27 else "?" for byte in kind)
