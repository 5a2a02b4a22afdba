"""Makes a storyboard from an idea, with no model behind it: sentences become scenes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from service.emulator.schema import AudioOption, Element, Elements, Music, Scene, Storyboard

_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|(?<=[。！？])|\n+")
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][a-z]{2,}(?: [A-Z][a-z]{2,})*\b")
_SETTING = re.compile(r"\b(?:in|at|on|through|across) (?:a|an|the) ([\w -]{3,60})", re.IGNORECASE)
_CAMERA = (
    "a slow push in",
    "a pan to the left",
    "a rising crane shot",
    "a pan to the right",
    "a slow pull out",
)


@dataclass(frozen=True)
class Wish:
    """What a storyboard is made from."""

    idea: str
    scene_count: int
    audio: AudioOption
    elements: Elements
    image_urls: Sequence[str] = ()


def make_storyboard(wish: Wish) -> Storyboard:
    """A storyboard of `scene_count` scenes, or of one scene an image where images are given."""
    idea = wish.idea or "An untitled story"
    count = len(wish.image_urls) or wish.scene_count
    return Storyboard(
        characters=wish.elements.characters or _characters(idea),
        environments=wish.elements.environments or _environments(idea),
        objects=wish.elements.objects,
        scenes=tuple(_scene(n, text, wish) for n, text in enumerate(shares(idea, count))),
        music=Music(description="Calm, warm, unhurried") if wish.audio.has_bg_music else None,
    )


def shares(text: str, count: int) -> list[str]:
    """Shares a text out over `count` scenes: by sentences while there are enough, else by words, else again."""
    parts = [part.strip() for part in _SENTENCE.split(text) if part.strip()] or [text]
    if len(parts) < count:
        parts = text.split() if len(text.split()) >= count else parts
    if len(parts) < count:
        return [parts[n % len(parts)] for n in range(count)]
    bounds = [round(n * len(parts) / count) for n in range(count + 1)]
    return [" ".join(parts[a:b]) for a, b in pairwise(bounds)]


def _scene(number: int, text: str, wish: Wish) -> Scene:
    cast = ", ".join(e.name for e in (*wish.elements.characters, *wish.elements.objects))
    return Scene(
        name=f"Scene {number + 1}: {' '.join(text.split()[:5])}"[:80],
        narrator=text if wish.audio.narrated else "",
        image_description=f"{text}. With {cast}" if cast else text,
        image_url=wish.image_urls[number] if wish.image_urls else None,
        video_description=f"{_CAMERA[number % len(_CAMERA)]}: {text}",
    )


def _characters(idea: str) -> tuple[Element, ...]:
    names = dict.fromkeys(_NAME.findall(idea))
    return tuple(Element(name=name, description=f"{name}, as the idea has it") for name in list(names)[:3])


def _environments(idea: str) -> tuple[Element, ...]:
    found = _SETTING.search(idea)
    return (Element(name=found[1].strip(), description=f"The place: {found[0]}"),) if found else ()
