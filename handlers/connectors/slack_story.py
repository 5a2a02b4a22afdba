"""Publishes one story with a bot token: each part is looked for, made, and written down before the next."""

import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from handlers.connectors.answers import Unanswered
from handlers.connectors.slack_answers import SlackFailed
from handlers.connectors.slack_blocks import (
    STORY_EVENT,
    Block,
    slack_image,
    story_message,
    web_image,
)
from handlers.connectors.slack_bot import Posted, Shown, SlackBot, event_of
from handlers.connectors.slack_files import SlackFiles
from handlers.connectors.slack_posting import Posting
from handlers.message_text import cut, line, readable, size
from service.domain.delivery import DeliveryFailed, Publication, Published

_CLOCKS_DIFFER = 300
"""Seconds that Slack's clock may be behind ours."""
_PATIENCE = 900
"""Seconds after which a video that Slack took and never showed is sent again."""
_SHORT = 4
"""How many pauses between looks for a video that may not be there."""
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})


@dataclass(frozen=True)
class Uploads:
    """Which files are wanted: the poster, and the video, unless it is larger than `limit` bytes."""

    poster: bool
    video: bool
    limit: int


@dataclass
class StoryInSlack:
    """One attempt. `posting` is what is known to be done, `found` says that the message itself told of it.

    `facts` is mrkdwn; `remarks` is for people.
    """

    publication: Publication
    bot: SlackBot
    files: SlackFiles
    uploads: Uploads
    facts: str
    posting: Posting = field(init=False)
    found: bool = False
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.posting = Posting.of(self.publication)

    def publish(self) -> Published:
        """Goes on from where the last attempt came to. Raises DeliveryFailed."""
        self._stay_in_the_channel()
        if self.posting.ts is None and not self._is_known_to_be_missing():
            self._look()
        if not self.posting.written:
            self._write(self._image())
        where = self._where()
        if self.uploads.video and not self.posting.shared:
            self._share_video(where)
        url = self._url(where)
        return Published(url=url, remark="; ".join(self.remarks), reference=self.posting.reference)

    def _stay_in_the_channel(self) -> None:
        """Begins anew where the remembered message stands in another channel than the one that is asked for now."""
        if self.posting.channel in (None, self.bot.channel_id()):
            return
        if self.posting.ts is not None:
            self.remarks.append("the channel option was changed: the earlier message stays where it is")
        self._keep(**asdict(Posting(self.posting.message_id, files=self.posting.files)))

    def _url(self, where: Posted) -> str | None:
        try:
            return self.bot.permalink(where)
        except DeliveryFailed as error:
            if error.retry_after is not None:
                raise  # all is kept: the next attempt asks for the address alone
            self.remarks.append(f"its address is not known: {error}")  # it is published all the same
            return None

    def _keep(self, **changes: Any) -> None:
        self.posting = replace(self.posting, **changes)
        self.publication.save(self.posting.reference)

    def _where(self) -> Posted:
        return Posted(self.posting.channel or "", self.posting.ts or "")

    def _now(self) -> float:
        return self.files.api.tools.now().timestamp()

    def _is_known_to_be_missing(self) -> bool:
        """Whether an earlier attempt has looked, and Slack clearly refused what it posted, if it did."""
        began = self.publication.reference.get("message_id") == self.posting.message_id
        return began and self.posting.asked_at is None

    def _look(self) -> None:
        """Finds what an attempt without an answer posted, or one whose reference is lost, or an earlier revision."""
        channel = self.posting.channel or self.bot.channel_id()
        for message in self.bot.messages(oldest=self._since(), channel=channel):
            if self._is_ours(message):
                written = event_of(message)[1].get("message_id") == self.posting.message_id
                self._keep(channel=channel, ts=str(message["ts"]), written=written, asked_at=None)
                self.found = True
                return

    def _is_ours(self, message: Shown) -> bool:
        kind, payload = event_of(message)
        name, value = ("message_id", self.posting.message_id)
        if self.publication.repeat == 0:
            name, value = ("key", self.publication.key)
        return kind == STORY_EVENT and payload.get(name) == value

    def _since(self) -> float:
        """The time before which the channel can't have it."""
        if self.posting.asked_at is not None:
            return self.posting.asked_at - _CLOCKS_DIFFER
        if self.publication.story.revision > 1 and self.publication.repeat == 0:
            return 0
        return self.publication.published_at.timestamp() - _CLOCKS_DIFFER

    def _image(self) -> Block | None:
        story, poster = self.publication.story, self.publication.files.poster()
        if poster is None:
            return None
        if not self.uploads.poster:
            return web_image(self.publication.links.poster, story)
        try:
            if self.posting.poster is None:
                with poster as path:
                    file = self.files.send(path, "poster.jpg")
                self.files.complete(file, "Poster")
                self._keep(poster=file, files=self._with(file))
            file = self.posting.poster or ""
            if self.files.is_ready(file, self.publication.check):
                return slack_image(file, story)
        except DeliveryFailed as error:
            if not error.permanent:
                raise
            self.remarks.append(f"without the poster: {error}")
            return None
        self.remarks.append("without the poster, which Slack had not worked up in time")
        return None

    def _write(self, image: Block | None) -> None:
        self.publication.check()
        try:
            self._update_or_post(image)
        except SlackFailed as error:
            if image is None or error.code != "invalid_blocks":
                raise
            self.remarks.append(f"without the poster: {error.details}")
            self._update_or_post(None)

    def _update_or_post(self, image: Block | None) -> None:
        if self.posting.ts is None:
            self._post(image)
            return
        self.bot.turn()
        try:
            self.bot.update(self._where(), story_message(self.publication, self.facts, image))
        except SlackFailed as error:
            if error.code not in _GONE:
                raise
            self.remarks.append(f"the earlier message can't be updated ({error.code}): posted a new one")
            self._post(image)
        else:
            self._keep(written=True)

    def _post(self, image: Block | None) -> None:
        self.bot.turn()
        self._keep(ts=None, asked_at=self._now())
        try:
            posted = self.bot.post(story_message(self.publication, self.facts, image))
        except DeliveryFailed as error:
            if not isinstance(error, Unanswered):
                self._keep(asked_at=None)
            raise
        self._keep(channel=posted.channel, ts=posted.ts, written=True, asked_at=None)

    def _share_video(self, where: Posted) -> None:
        video = self.publication.video
        if video.bytes > self.uploads.limit:
            self.remarks.append(f"the video is linked: {size(video.bytes)} is over upload_limit")
            return
        if self._is_shared(where):
            return
        try:
            self._send_video(where)
        except DeliveryFailed as error:
            if not error.permanent:
                raise
            self.remarks.append(f"the video is linked only: {error}")

    def _is_shared(self, where: Posted) -> bool:
        """Whether an earlier attempt has shared it. Raises DeliveryFailed while Slack is at it."""
        if not self.found and self.posting.shared_at is None:
            return False
        # where no upload was written down there may be none: a short look for one that Slack is still working up
        looks = self.files.looks if self.posting.video else self.files.looks[:_SHORT]
        for pause in (*looks, 0):
            file = self._in_thread(where)
            if file is not None:
                self._keep(video=file, shared=True, shared_at=None, files=self._with(file))
                return True
            if self.posting.video and not self._is_on_its_way(self.posting.video):
                return False
            self.publication.check()
            time.sleep(pause)
        if self.posting.video is None:
            return False
        raise DeliveryFailed("Slack has the video, but does not show it yet", retry_after=60)

    def _with(self, file: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.posting.files, file)))

    def _in_thread(self, where: Posted) -> str | None:
        """The id of this very video in the message's thread."""
        name = video_name(self.publication)
        below = self.bot.thread(where)
        found = [file for message in below for file in message.get("files") or [] if file.get("name") == name]
        return str(found[0]["id"]) if found else None

    def _is_on_its_way(self, file: str) -> bool:
        late = self.posting.shared_at is None or self._now() - self.posting.shared_at > _PATIENCE
        return not late and self.files.info(file) is not None

    def _send_video(self, where: Posted) -> None:
        self.publication.check()
        story = readable(self.publication.story)
        with self.publication.files.video() as path:
            file = self.files.send(path, video_name(self.publication))
        self.bot.turn()
        self._keep(video=file, shared_at=self._now(), files=self._with(file))
        comment = f"Revision {story.revision}" if story.revision > 1 else None
        try:
            self.files.complete(file, cut(line(story.name), 150), where, comment)
        except DeliveryFailed as error:
            if not isinstance(error, Unanswered):
                self._keep(shared_at=None)
            raise
        self._keep(shared=True, shared_at=None)


def video_name(publication: Publication) -> str:
    """The video's name as a file, by which a later attempt knows it: it says which bytes they are."""
    return f"video-{publication.video.sha256[:12]}.mp4"
