"""The flow by steps: storyboard, element pictures, scenes, videos, concat."""

from dataclasses import replace

from service.emulator.accounts import Account
from service.emulator.illustrations import with_element_pictures, with_scene_pictures
from service.emulator.pricing import price
from service.emulator.refusals import bad_request
from service.emulator.schema import (
    AudioOption,
    Concat,
    CreateElements,
    CreateScenes,
    CreateStoryboard,
    CreateVideos,
    Elements,
    Storyboard,
)
from service.emulator.stories import Story
from service.emulator.storyboard import Wish, make_storyboard
from service.emulator.studio import Studio, film_plan

ELEMENTS_PROGRESS = 10
SCENES_PROGRESS = 50


class Steps:
    """Each step of the flow on one story; they raise Refusal."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def create(self, body: CreateStoryboard, text: str, account: Account, origin: str) -> Story:
        """A story that has a storyboard and nothing else; costs nothing. `text` is the idea without markers."""
        self._bounded(body)
        audio = body.audio_option or AudioOption()
        wish = Wish(text, body.scene_count, audio, body.elements or Elements(), body.image_urls)
        story = Story(
            id=self._studio.new_id(),
            customer_id=account.customer_id,
            origin=origin,
            idea=body.idea,
            text=text,
            title=body.title,
            aspect_ratio=body.aspect_ratio or "16:9",
            audio=audio,
            storyboard=make_storyboard(wish),
        )
        self._studio.add(story)
        return story

    def revise(self, story: Story, body: CreateStoryboard, text: str) -> Story:
        """A new storyboard for a story that exists."""
        self._bounded(body)
        audio = body.audio_option or story.audio
        wish = Wish(text, body.scene_count, audio, body.elements or Elements(), body.image_urls)
        with self._studio.lock:
            _idle(story)
            story.idea, story.text, story.audio = body.idea, text, audio
            story.title = body.title or story.title
            story.aspect_ratio = body.aspect_ratio or story.aspect_ratio
            story.storyboard = make_storyboard(wish)
            _step(story, 0)
        return story

    def elements(self, story: Story, body: CreateElements) -> None:
        """Pictures for characters, environments and objects."""
        with self._studio.lock:
            _idle(story)
            story.storyboard = with_element_pictures(
                body.storyboard or story.storyboard, story.origin, story.id
            )
            _step(story, ELEMENTS_PROGRESS)

    def scenes(self, story: Story, body: CreateScenes) -> None:
        """Pictures and narration for the scenes."""
        with self._studio.lock:
            _idle(story)
            story.aspect_ratio = body.aspect_ratio or story.aspect_ratio
            story.audio = body.audio_option or story.audio
            story.storyboard = with_scene_pictures(
                body.storyboard or story.storyboard, story.origin, story.id
            )
            _step(story, SCENES_PROGRESS)

    def videos(self, story: Story, body: CreateVideos, account: Account) -> None:
        """Charges for the video and starts it."""
        storyboard = body.storyboard or story.storyboard
        seconds = body.duration * body.loop
        with self._studio.lock:
            _idle(story)
            _has_pictures(storyboard)
            self._studio.check_making(account, len(storyboard.scenes) * seconds, body.webhook_url or "")
            self._charge(story, body, account, len(storyboard.scenes))
            story.storyboard = storyboard
            story.title, story.is_transition = body.title or story.title, body.is_transition
            _step(story, SCENES_PROGRESS)
            self._studio.start(story, film_plan(story, seconds), body.webhook_url or "", SCENES_PROGRESS)

    def concat(self, story: Story, body: Concat) -> None:
        """Composes the video anew; `video_url` stays empty until it is done, and no webhook tells."""
        with self._studio.lock:
            _idle(story)
            if not story.films or story.plan is None:
                raise bad_request("there are no scene videos yet: call /videos first")
            scenes = story.plan.scenes
            if body.concat_video_urls:
                scenes = tuple(scenes[n % len(scenes)] for n in range(len(body.concat_video_urls)))
            plan = replace(story.plan, scenes=scenes, cut=len(story.films) + 1)
            story.touch()
            self._studio.start(story, plan, "", SCENES_PROGRESS)

    def _bounded(self, body: CreateStoryboard) -> None:
        """A scene lasts a second at least."""
        if body.scene_count > (most := self._studio.options.max_seconds):
            raise bad_request(f"scene_count is too large: at most {most}")

    def _charge(self, story: Story, body: CreateVideos, account: Account, scenes: int) -> None:
        """A loop repeats what was made, so it costs nothing more."""
        needed = price(body.video_tool, scenes, body.duration, native_audio=story.audio.native_audio)
        account.charge(needed)
        story.used_credits += needed


def _idle(story: Story) -> None:
    if story.making is not None:
        raise bad_request("this story is being made: wait until its status is success or fail")


def _has_pictures(storyboard: Storyboard) -> None:
    if not storyboard.scenes or not all(scene.image_url for scene in storyboard.scenes):
        raise bad_request("the scenes have no pictures yet: call /scenes first")


def _step(story: Story, progress: int) -> None:
    story.status, story.settled_progress = ("processing" if progress else "new"), progress
    story.message = None
    story.touch()
