"""Publishes one story with a bot token: each part is looked for, made, and written down before the next."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from handlers.connectors.answers import Unanswered
from handlers.connectors.slack_api import SlackFailed
from handlers.connectors.slack_blocks import (
    Block,
    SlackMessage,
    fallback,
    slack_image,
    story_blocks,
    story_metadata,
    web_image,
)
from handlers.connectors.slack_bot import Posted, SlackBot
from handlers.connectors.slack_files import Shared, SlackFiles
from handlers.connectors.slack_posting import Posting
from handlers.message_text import cut, line, readable, size
from service.domain.delivery import DeliveryFailed, Publication, Published

_CLOCKS_DIFFER = 300
"""Seconds that Slack's clock may be behind ours."""
_PATIENCE = 900
"""Seconds after which a video that Slack took and never showed is sent again."""
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})


@dataclass(frozen=True)
class Uploads:
    """Which files are wanted: the poster, and the video, unless it is larger than `limit` bytes."""

    poster: bool
    video: bool
    limit: int


@dataclass
class StoryInSlack:
    """One attempt. `posting` is what is known to be done; `remarks` is for people."""

    publication: Publication
    bot: SlackBot
    files: SlackFiles
    uploads: Uploads
    facts: str
    now: datetime
    posting: Posting = field(init=False)
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.posting = Posting.of(self.publication)

    def publish(self) -> Published:
        """Goes on from where the last attempt came to. Raises DeliveryFailed."""
        self._look()
        if not self.posting.written:
            self._write(self._image())
        where = self._where()
        if self.uploads.video and not self.posting.shared:
            self._share_video(where)
        return Published(
            url=self._url(where), remark="; ".join(self.remarks), reference=self.posting.reference
        )

    def _url(self, where: Posted) -> str | None:
        try:
            return self.bot.permalink(where)
        except DeliveryFailed as error:
            self.remarks.append(f"its address is not known: {error}")  # it is published all the same
            return None

    def _keep(self, **changes: Any) -> None:
        self.posting = replace(self.posting, **changes)
        self.publication.save(self.posting.reference)

    def _where(self) -> Posted:
        return Posted(self.posting.channel or "", self.posting.ts or "")

    def _look(self) -> None:
        """Finds the message that an attempt without an answer posted, or the one of an earlier revision."""
        posting, publication = self.posting, self.publication
        if posting.ts is not None:
            return
        if posting.asked_at is not None:
            since = posting.asked_at - _CLOCKS_DIFFER
            found = self.bot.find("message_id", posting.message_id, channel=posting.channel, oldest=since)
            if found is not None:
                self._keep(channel=found.channel, ts=found.ts, written=True, asked_at=None)
        elif publication.story.revision > 1 and publication.repeat == 0:
            found = self.bot.find("key", publication.key, channel=posting.channel)
            if found is not None:
                self._keep(channel=found.channel, ts=found.ts)

    def _image(self) -> Block | None:
        story, poster = self.publication.story, self.publication.files.poster()
        if poster is None:
            return None
        if not self.uploads.poster:
            return web_image(self.publication.links.poster, story)
        if self.posting.poster is None:
            with poster as path:
                file = self.files.send(path, "poster.jpg")
            self.files.complete(file, "Poster")
            self._keep(poster=file)
        file = self.posting.poster or ""
        if self.files.is_ready(file, self.publication.check):
            return slack_image(file, story)
        self.remarks.append("without the poster, which Slack had not worked up in time")
        return None

    def _write(self, image: Block | None) -> None:
        self.publication.check()
        try:
            self._update_or_post(self._message(image))
        except SlackFailed as error:
            if image is None or error.code != "invalid_blocks":
                raise
            self.remarks.append(f"without the poster: {error.details}")
            self._update_or_post(self._message(None))

    def _message(self, image: Block | None) -> SlackMessage:
        story = self.publication.story
        blocks = story_blocks(story, self.facts, image)
        return SlackMessage(fallback(readable(story).name), blocks, story_metadata(self.publication))

    def _update_or_post(self, message: SlackMessage) -> None:
        if self.posting.ts is not None:
            try:
                self.bot.update(self._where(), message)
            except SlackFailed as error:
                if error.code not in _GONE:
                    raise
                self.remarks.append(f"the earlier message can't be updated ({error.code}): posted a new one")
            else:
                self._keep(written=True)
                return
        self._post(message)

    def _post(self, message: SlackMessage) -> None:
        self._keep(ts=None, asked_at=self.now.timestamp())
        try:
            posted = self.bot.post(message)
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
            self._keep(shared=True, shared_at=None)
            return
        try:
            self._send_video(where)
        except DeliveryFailed as error:
            if not error.permanent:
                raise
            self.remarks.append(f"the video is linked only: {error}")

    def _is_shared(self, where: Posted) -> bool:
        """Whether an attempt that got no answer has shared it. Raises DeliveryFailed while Slack is at it."""
        file, since = self.posting.video, self.posting.shared_at
        if file is None or since is None:
            return False
        shared = self.files.shared(file, where)
        if shared is Shared.UNSEEN and self.now.timestamp() - since < _PATIENCE:
            raise DeliveryFailed("Slack has the video, but does not show it yet", retry_after=60)
        return shared is Shared.YES

    def _send_video(self, where: Posted) -> None:
        self.publication.check()
        story = readable(self.publication.story)
        with self.publication.files.video() as path:
            file = self.files.send(path, "video.mp4")
        self._keep(video=file, shared_at=self.now.timestamp())
        comment = f"Revision {story.revision}" if story.revision > 1 else None
        try:
            self.files.complete(file, cut(line(story.name), 150), where, comment)
        except DeliveryFailed as error:
            if not isinstance(error, Unanswered):
                self._keep(shared_at=None)
            raise
        self._keep(shared=True, shared_at=None)
