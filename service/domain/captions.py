"""Captions from a storyboard's narration, as WebVTT (W3C, "WebVTT: The Web Video Text Tracks Format")."""

import itertools
import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

_LINE_WIDTH = 42  # columns; a wide (CJK) character takes two
_LINES_A_CUE = 2
_SHORTEST_CUE = 300  # ms; what would need shorter ones could not be read, and is left out
_MOST_CHARACTERS = 4 * _LINE_WIDTH * _LINES_A_CUE  # a cue's letters with their combining marks
_ZERO_WIDTH_JOINER = "\u200d"
_KEPT_FORMAT = {"\u200c", _ZERO_WIDTH_JOINER, "\u200e", "\u200f"}  # Persian, Hindi, emoji; direction marks
_NEVER_FIRST = set("、。，．！？：；」』）】〉》”’ー…")


@dataclass(frozen=True)
class Narration:
    """What is spoken in one scene, and how long the scene lasts in seconds (None: an equal share)."""

    text: str
    seconds: float | None = None


@dataclass(frozen=True)
class _Piece:
    """What no line break may split; `apart` says that a space stands before it."""

    text: str
    width: int
    apart: bool


def captions(scenes: Sequence[Narration], seconds: float) -> str | None:
    """Make the WebVTT text for a video of that length; None when nothing is spoken.

    Scenes without a length share what the others leave; lengths that exceed the video are scaled to it.
    """
    if not math.isfinite(seconds) or seconds <= 0:
        return None
    marks = itertools.accumulate(_lengths(scenes, seconds), initial=0.0)
    slots = itertools.pairwise(marks)
    cues = [cue for scene, slot in zip(scenes, slots, strict=True) for cue in _cues(scene.text, *slot)]
    return "\n\n".join(["WEBVTT", *cues]) + "\n" if cues else None


def _lengths(scenes: Sequence[Narration], seconds: float) -> list[float]:
    given = [_usable(scene.seconds) for scene in scenes]
    known = [length for length in given if length is not None]
    open_scenes = len(given) - len(known)
    rest = seconds - sum(known)
    share = rest / open_scenes if open_scenes and rest > 0 else seconds / max(1, len(scenes))
    lengths = [share if length is None else length for length in given]
    total = sum(lengths)
    return [length * min(1.0, seconds / total) for length in lengths] if total else lengths


def _usable(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) and seconds > 0 else None


def _cues(text: str, start: float, end: float) -> Iterator[str]:
    """The scene's cues; each gets the part of the scene's time that its text is of the scene's text."""
    first, last = round(start * 1000), round(end * 1000)
    most = (last - first) // _SHORTEST_CUE
    lines = _lines(_plain(text[: most * _MOST_CHARACTERS]))
    blocks = [lines[i : i + _LINES_A_CUE] for i in range(0, len(lines), _LINES_A_CUE)][:most]
    widths = [max(1, sum(map(_width, block))) for block in blocks]
    marks = itertools.accumulate(widths, initial=0)
    times = [first + round((last - first) * mark / sum(widths)) for mark in marks] if blocks else []
    for block, (begin, finish) in zip(blocks, itertools.pairwise(times), strict=True):
        payload = "\n".join(escape(line, quote=False) for line in block)
        yield f"{_timestamp(begin)} --> {_timestamp(finish)}\n{payload}"


def _timestamp(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"


def _plain(text: str) -> str:
    """One line of visible text: line breaks are spaces; what hides or reorders text is gone."""
    kept = (_visible(character) for character in text)
    return " ".join("".join(kept).split())


def _visible(character: str) -> str:
    if character.isspace() or character in _KEPT_FORMAT:
        return " " if character.isspace() else character
    category = unicodedata.category(character)
    if category == "Cc":
        return " "
    return "" if category in {"Cf", "Cs", "Co"} or _is_noncharacter(ord(character)) else character


def _is_noncharacter(code: int) -> bool:
    """Code points that Unicode reserves for no character (Unicode 23.7); others that are unassigned may be new."""
    return 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE


def _lines(text: str) -> list[str]:
    lines: list[str] = []
    room = 0
    for piece in _pieces(text):
        needed = piece.width + piece.apart
        if lines and needed <= room:
            lines[-1] += " " * piece.apart + piece.text
            room -= needed
        else:
            lines.append(piece.text)
            room = _LINE_WIDTH - piece.width
    return lines


def _pieces(text: str) -> Iterator[_Piece]:
    for word in text.split():
        apart = True
        for part in _parts(word):
            yield _Piece(part, _width(part), apart)
            apart = False


def _parts(word: str) -> Iterator[str]:
    """A word as it may be broken: at wide characters, and where it is longer than a line."""
    part = ""
    for cluster in _clusters(word):
        wide = _width(cluster) > 1
        full = _width(part) + _width(cluster) > _LINE_WIDTH
        if part and (full or ((wide or _wide_end(part)) and cluster not in _NEVER_FIRST)):
            yield part
            part = ""
        part += cluster
    if part:
        yield part


def _wide_end(part: str) -> bool:
    return _width(part[-1]) > 1


def _clusters(word: str) -> Iterator[str]:
    """Characters with their combining marks and joined emoji, which must stay together (after UAX #29)."""
    cluster = ""
    for character in word:
        if cluster and not _joins(cluster[-1], character):
            yield cluster
            cluster = ""
        cluster += character
    if cluster:
        yield cluster


def _joins(before: str, character: str) -> bool:
    joiner = _ZERO_WIDTH_JOINER in (before, character)
    return (
        joiner or unicodedata.category(character).startswith("M") or "\U0001f3fb" <= character <= "\U0001f3ff"
    )


def _width(text: str) -> int:
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
