"""Where stories are made: the emulator's state and what time does to it."""

import functools
import random
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from urllib.parse import quote

from service.emulator.accounts import Account, Accounts
from service.emulator.agenda import Agenda
from service.emulator.announcements import announcements, write_letter
from service.emulator.faults import Chance, Faults, parse_chances, roll
from service.emulator.film import FilmPlan
from service.emulator.films import Film, Films
from service.emulator.illustrations import illustrated
from service.emulator.options import EmulatorOptions
from service.emulator.pricing import price
from service.emulator.refusals import bad_request, limit_reached, not_found
from service.emulator.signed_urls import UrlSigner
from service.emulator.stories import Making, Order, Story, StoryAnswer, answer
from service.emulator.storyboard import Wish, make_storyboard
from service.emulator.webhooks import WebhookDelivery, Webhooks, unusable

EARLY_WAIT = 2.0


class Studio:
    """All stories of all customers; every method may be called from any thread."""

    def __init__(self, options: EmulatorOptions) -> None:
        self.options = options
        self.lock = threading.RLock()
        self.accounts = Accounts(options.keys, options.credits)
        self.films = Films(options.films, options.short_side, options.video_bytes)
        self.signer = UrlSigner()
        self.stories: dict[str, Story] = {}
        self._agenda = Agenda()
        self._webhooks = Webhooks(self._agenda, options)
        self._dice = random.Random(options.seed)
        self._chances: tuple[Chance, ...] = parse_chances(options.faults)

    def close(self) -> None:
        """Ends what runs in the background; stories in the making stay unfinished."""
        self._agenda.close()
        self.films.close()

    def set_faults(self, chances: Mapping[str, float]) -> None:
        """Sets the chance of each fault for stories from now on; raises BadFault."""
        parsed = parse_chances(chances)
        with self.lock:
            self._chances = parsed

    def chances(self) -> dict[str, float]:
        """The faults by chance, each with its value."""
        with self.lock:
            return {f"{chance.name}:{chance.value}": chance.probability for chance in self._chances}

    def roll(self) -> Faults:
        """The faults that chance gives to one story."""
        with self.lock:
            return roll((c for c in self._chances if c.name != "api-error"), self._dice)

    def rolls_api_error(self) -> bool:
        """Whether chance lets this call fail."""
        with self.lock:
            return "api-error" in roll((c for c in self._chances if c.name == "api-error"), self._dice)

    def submit(self, order: Order, account: Account, origin: str, faults: Faults) -> Story:
        """Charges for a story and starts it; raises Refusal."""
        credits_needed = price(
            order.video_tool, order.scene_count, order.scene_seconds, native_audio=order.audio.native_audio
        )
        with self.lock:
            self.check_making(account, order.scene_count * order.scene_seconds, order.webhook_url)
            account.charge(credits_needed)
            story = self._new_story(order, account, origin, faults)
            story.used_credits = credits_needed
            self.start(story, film_plan(story, order.scene_seconds), order.webhook_url)
        return story

    def check_making(self, account: Account, seconds: int, webhook_url: str) -> None:
        """Raises Refusal where a video of this length cannot be made now, or its webhook not be sent."""
        if webhook_url and (reason := unusable(webhook_url)):
            raise bad_request(f"webhook_url cannot be used: {reason}")
        if seconds > self.options.max_seconds:
            raise bad_request(f"a video of {seconds} s is too long: at most {self.options.max_seconds} s")
        running = sum(
            s.making is not None and s.customer_id == account.customer_id for s in self.stories.values()
        )
        if self.options.concurrency is not None and running >= self.options.concurrency:
            raise limit_reached(f"the plan allows {self.options.concurrency} stories at once", 1)

    def add(self, story: Story) -> None:
        """Takes up a story that was made elsewhere."""
        with self.lock:
            self.stories[story.id] = story

    def new_id(self) -> str:
        """A story's id."""
        with self.lock:
            return str(uuid.UUID(int=self._dice.getrandbits(128), version=4))

    def start(self, story: Story, plan: FilmPlan, webhook_url: str, from_progress: int = 0) -> None:
        """Begins a video; it is finished when it is drawn and `story_seconds` have passed."""
        seconds = self.options.story_seconds
        making = Making(plan, time.monotonic(), seconds, from_progress, webhook_url)
        story.making, story.plan = making, plan
        film = self.films.request(plan)
        self._agenda.after(
            seconds, lambda: film.add_done_callback(lambda drawn: self._finish(story, making, drawn))
        )

    def find(self, story_id: str, account: Account) -> Story:
        """A customer's story; raises Refusal (404), also for another customer's."""
        with self.lock:
            story = self.stories.get(story_id)
            if story is None or story.customer_id != account.customer_id or "unknown" in story.faults:
                raise not_found(story_id)
            return story

    def delete(self, story: Story) -> StoryAnswer:
        """Forgets a story; what is in the making comes to nothing."""
        with self.lock:
            last = self.answer(story)
            story.making = None
            self.stories.pop(story.id, None)
        return last

    def answer(self, story: Story) -> StoryAnswer:
        """The story object, with a fresh video URL."""
        with self.lock:
            now = time.monotonic()
            video_url = self._video_url(story) if story.shows_video(now) else None
            if video_url is None and story.status == "success":
                video_url = ""
            return answer(story, now, video_url)

    def announce_early(self, story: Story) -> None:
        """Sends the webhook of a story that is not made yet, and waits until it was answered, at most 2 s."""
        if story.making and story.making.webhook_url and "webhook-never" not in story.faults:
            status = "fail" if "fail" in story.faults else "success"
            self._send(story, story.making.webhook_url, (status,)).wait(EARLY_WAIT)

    def _new_story(self, order: Order, account: Account, origin: str, faults: Faults) -> Story:
        wish = Wish(order.text, order.scene_count, order.audio, order.elements, order.image_urls)
        story = Story(
            id=self.new_id(),
            customer_id=account.customer_id,
            origin=origin,
            idea=order.idea,
            text=order.text,
            title=order.title,
            aspect_ratio=order.aspect_ratio,
            audio=order.audio,
            storyboard=make_storyboard(wish),
            is_transition=order.is_transition,
        )
        story.take_faults(faults)
        story.storyboard = illustrated(story.storyboard, origin, story.id)
        self.add(story)
        return story

    def _video_url(self, story: Story) -> str:
        """Old URLs stop working as the story's faults have it; each answer brings one that works."""
        tallies, limit = story.tallies, int(story.faults.number("video-url-downloads"))
        if limit and tallies.url_downloads >= limit:
            tallies.url_serial, tallies.url_downloads = tallies.url_serial + 1, 0
        seconds = story.faults.number("video-url-expires") or self.options.url_seconds
        path = f"/media/{quote(story.id)}/{len(story.films)}/video.mp4"
        return story.origin + self.signer.signed(path, seconds, tallies.url_serial)

    def _finish(self, story: Story, making: Making, drawn: "Future[Film]") -> None:
        if drawn.cancelled():
            return
        with self.lock:
            if story.making is not making:
                return
            story.making = None
            self._settle(story, drawn)
            story.touch()
            self._announce(story, making.webhook_url)

    def _settle(self, story: Story, drawn: "Future[Film]") -> None:
        error = drawn.exception()
        if error is not None or "fail" in story.faults:
            story.status, story.settled_progress = "fail", 50
            story.message = story.faults.text("fail") or f"the video could not be drawn: {error}"
            return
        story.films.append(drawn.result())
        story.status, story.settled_progress = "success", 100
        story.url_from = time.monotonic() + story.faults.number("video-url-late")

    def _announce(self, story: Story, url: str) -> None:
        for announcement in announcements(story.faults, story.status) if url else ():
            send = functools.partial(self._send, story, url, announcement.statuses)
            self._agenda.after(announcement.delay, send)

    def _send(self, story: Story, url: str, statuses: tuple[str, ...]) -> threading.Event:
        said = {**self.answer(story).body(), "customer_id": story.customer_id}
        letters = [write_letter(url, status, said, story.faults) for status in statuses]
        return self._webhooks.send(letters, functools.partial(self._record, story))

    def _record(self, story: Story, delivery: WebhookDelivery) -> None:
        with self.lock:
            story.deliveries.append(delivery)
        outcome = delivery.answer or delivery.error
        self.options.log(f"webhook {delivery.status} of {story.id}, attempt {delivery.attempt} → {outcome}")


def film_plan(story: Story, scene_seconds: int) -> FilmPlan:
    """What the story's next video shows: one card for each scene, with its spoken or described text."""
    scenes = story.storyboard.scenes
    return FilmPlan(
        title=story.title or story.text[:60] or "An untitled story",
        scenes=tuple(scene.narrator or scene.image_description or scene.name for scene in scenes),
        scene_seconds=scene_seconds,
        aspect_ratio=story.aspect_ratio,
        transition=story.is_transition,
        silent=story.audio.silent,
        cut=len(story.films) + 1,
    )
