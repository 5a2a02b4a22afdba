"""The pictures and sounds of a storyboard: where they are, and what they show."""

import array
import io
import wave
from collections.abc import Sequence
from typing import Literal, TypeVar

from service.emulator.cards import Words
from service.emulator.film import SAMPLE_RATE, draw_still, sine
from service.emulator.schema import Element, Scene, Storyboard

STILL_SIDE = 180
Group = Literal["characters", "environments", "objects", "scenes"]
Pictured = TypeVar("Pictured", Element, Scene)
GROUPS: tuple[Group, ...] = ("characters", "environments", "objects", "scenes")


def with_element_pictures(storyboard: Storyboard, origin: str, story_id: str) -> Storyboard:
    """The storyboard with a picture for each element that has none."""
    return storyboard.model_copy(
        update={
            group: _pictured(getattr(storyboard, group), f"{origin}/pictures/{story_id}/{group}")
            for group in GROUPS[:3]
        }
    )


def with_scene_pictures(storyboard: Storyboard, origin: str, story_id: str) -> Storyboard:
    """The storyboard with a picture for each scene, a voice for each spoken text, and its music."""
    scenes = _pictured(storyboard.scenes, f"{origin}/pictures/{story_id}/scenes")
    sounds = f"{origin}/sounds/{story_id}"
    music = storyboard.music and storyboard.music.model_copy(update={"music_url": f"{sounds}/music.wav"})
    voiced = tuple(_voiced(scene, f"{sounds}/narration-{n + 1}.wav") for n, scene in enumerate(scenes))
    return storyboard.model_copy(update={"scenes": voiced, "music": music})


def illustrated(storyboard: Storyboard, origin: str, story_id: str) -> Storyboard:
    """Both together, as the automatic calls do it."""
    return with_scene_pictures(with_element_pictures(storyboard, origin, story_id), origin, story_id)


def _pictured(items: Sequence[Pictured], prefix: str) -> tuple[Pictured, ...]:
    return tuple(
        item if item.image_url else item.model_copy(update={"image_url": f"{prefix}-{n + 1}.jpg"})
        for n, item in enumerate(items)
    )


def _voiced(scene: Scene, url: str) -> Scene:
    return scene.model_copy(update={"narration_url": url}) if scene.narrator else scene


def still(storyboard: Storyboard, group: Group, number: int, aspect_ratio: str) -> bytes | None:
    """The picture (JPEG) of the element or scene `number` (from 1); None where there is no such one."""
    items: Sequence[Element | Scene] = getattr(storyboard, group)
    if not 1 <= number <= len(items):
        return None
    item = items[number - 1]
    text = item.image_description if isinstance(item, Scene) else item.description
    return draw_still(Words(item.name, f"{group} {number}", text), number - 1, aspect_ratio, STILL_SIDE)


def sound(number: int) -> bytes:
    """One second of the tone of scene `number` (from 0), as WAV."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(array.array("h", (round(32_767 * s) for s in sine(number))).tobytes())
    return target.getvalue()
