"""Title cards: one for each scene, drawn into the planes of a YUV 4:2:0 picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from service.emulator.font import ADVANCE, GLYPH_HEIGHT, GLYPH_WIDTH, glyph, plain, wrap

GROUND, INK, DIM = 62, 225, 150
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class Size:
    """Of a picture, in pixels; both even."""

    width: int
    height: int

    @property
    def unit(self) -> int:
        """The side of one dot of the body text."""
        return max(1, min(self.width, self.height) // 180)


@dataclass(frozen=True)
class Words:
    """What stands on a card."""

    title: str
    label: str
    text: str


@dataclass(frozen=True)
class Card:
    """A card without its moving parts: the luma plane row by row, and one colour for the whole."""

    size: Size
    luma: bytes
    blue: int
    red: int


def size_of(aspect_ratio: str, short_side: int) -> Size:
    """The size of a picture of this ratio ("16:9") whose shorter side is `short_side`, both made even."""
    across, down = (int(part) for part in aspect_ratio.split(":"))
    unit = short_side / min(across, down)
    return Size(_even(unit * across), _even(unit * down))


def _even(length: float) -> int:
    return max(2, round(length / 2) * 2)


@lru_cache(maxsize=8)
def draw_card(size: Size, words: Words, number: int) -> Card:
    """The card of scene `number` (from 0); neighbours never have the same colour."""
    canvas = _Canvas(size)
    unit, margin = size.unit, size.unit * 10
    line = (GLYPH_HEIGHT + 4) * unit
    top = canvas.lines(_fit(words.title, canvas, unit * 2, 2), (margin, margin), unit * 2, INK)
    top = canvas.lines([plain(words.label)], (margin, top + line // 2), unit, DIM)
    room = (size.height - margin * 4 - top) // line
    canvas.lines(_fit(words.text, canvas, unit, max(1, room)), (margin, top + line), unit, INK)
    return Card(size, bytes(canvas.luma), *_colour(number))


def _fit(text: str, canvas: "_Canvas", unit: int, lines: int) -> Sequence[str]:
    columns = (canvas.size.width - canvas.size.unit * 20) // (ADVANCE * unit)
    return wrap(plain(text), max(4, columns), lines)


def _colour(number: int) -> tuple[int, int]:
    """Blue and red difference, turned by the golden angle from scene to scene."""
    angle = number * _GOLDEN_ANGLE
    return round(128 + 48 * math.cos(angle)), round(128 + 48 * math.sin(angle))


class _Canvas:
    """A luma plane to draw on."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.luma = bytearray(bytes([GROUND]) * (size.width * size.height))

    def lines(self, lines: Sequence[str], at: tuple[int, int], unit: int, ink: int) -> int:
        """Writes lines of plain text and says where the next would begin."""
        x, y = at
        for line in lines:
            for position, character in enumerate(line):
                self._glyph(character, (x + position * ADVANCE * unit, y), unit, ink)
            y += (GLYPH_HEIGHT + 4) * unit
        return y

    def _glyph(self, character: str, at: tuple[int, int], unit: int, ink: int) -> None:
        x, y = at
        if x + GLYPH_WIDTH * unit > self.size.width or y + GLYPH_HEIGHT * unit > self.size.height:
            return
        for row, dots in enumerate(glyph(character)):
            self._row(dots, x, y + row * unit, (unit, ink))

    def _row(self, dots: str, x: int, y: int, pen: tuple[int, int]) -> None:
        unit, ink = pen
        for column, dot in enumerate(dots):
            if dot == "#":
                for below in range(y, y + unit):
                    start = below * self.size.width + x + column * unit
                    self.luma[start : start + unit] = bytes([ink]) * unit


def draw_frame(card: Card, scene: float, film: float) -> bytes:
    """The luma of a card with its moving parts: a ball that runs through the scene, a bar through the film.

    `scene` and `film` are the shares (0 to 1) that have passed.
    """
    luma = bytearray(card.luma)
    width, height, unit = card.size.width, card.size.height, card.size.unit
    side = unit * 12
    bounce = abs(math.sin(scene * math.pi * 5)) * side
    _box(luma, width, (round((width - side) * scene), round(height - side * 2.4 - bounce), side, side))
    _box(luma, width, (0, height - unit * 6, round(width * film), unit * 3))
    return bytes(luma)


def _box(luma: bytearray, stride: int, box: tuple[int, int, int, int]) -> None:
    x, y, width, height = box
    for row in range(max(0, y), y + height):
        luma[row * stride + x : row * stride + x + width] = bytes([INK]) * width
