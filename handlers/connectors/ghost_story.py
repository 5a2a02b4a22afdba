"""Publishes one story to Ghost: each part is looked for, made, and written down before the next."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from handlers.connectors.ghost_api import NOT_FOUND, TOO_LARGE, GhostApi, GhostRefused
from handlers.connectors.ghost_content import (
    Body,
    Uploaded,
    address,
    alternative,
    excerpt_of,
    file_stem,
    mark_of,
    slug_of,
    title_of,
    uploaded_in,
)
from handlers.connectors.ghost_posts import Post, Posts
from handlers.message_text import size
from service.domain.delivery import Publication, Published, Reference
from service.outbound_http import FileBody, FormField, FormFile

_SOONEST = timedelta(minutes=3)
"""Ghost schedules nothing for the next two minutes."""


@dataclass(frozen=True)
class Wishes:
    """What the operator wants of each post. `delay` and `upload_limit` as in the options."""

    body: Body
    status: Literal["draft", "published", "scheduled"]
    delay: timedelta
    first: Mapping[str, Any]
    """Fields of a new post alone: tags, visibility, authors. Later they are the editors'."""
    mail: Mapping[str, str]
    """The query that has Ghost send the post as a newsletter; empty: it is not mailed."""
    feature_image: bool
    upload: bool
    upload_limit: int | None


@dataclass(frozen=True)
class Memory:
    """What is known to be done. `placed`: the post had its status from us, which is the editors' from then on.

    `mailing` is the post that Ghost is about to be asked to mail, kept for ever: no other post is mailed.
    `site` is the address of the Ghost that the rest holds for.
    """

    site: str | None = None
    post: str | None = None
    stem: str = ""
    video: str | None = None
    thumbnail: str | None = None
    image: str | None = None
    placed: bool = False
    mailing: str | None = None

    @classmethod
    def of(cls, reference: Reference, site: str) -> "Memory":
        """As it was saved; of another site only what was mailed, for its readers may have moved here."""
        known = {name: reference[name] for name in cls.__dataclass_fields__ if name in reference}
        if known.get("site", site) != site:
            known = {"mailing": known.get("mailing")}
        return cls(**{**known, "site": site})

    @property
    def reference(self) -> Reference:
        """As it is saved."""
        return asdict(self)


@dataclass
class StoryInGhost:
    """One attempt. `remarks` are for people."""

    publication: Publication
    api: GhostApi
    wishes: Wishes
    now: datetime
    memory: Memory = field(init=False)
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.memory = Memory.of(self.publication.reference, self.api.site.url)

    def publish(self) -> Published:
        """Goes on from where the last attempt came to. Raises DeliveryFailed."""
        post = self._posts().only()
        uploaded = self._uploaded(post)
        fields = content_fields(self.publication, self.wishes, uploaded)
        if post is None:
            post, fields = self._create(fields), {}
        post = self._place(post, fields)
        self._keep(post=post.id, placed=True)
        if post.mail_failure:
            self.remarks.append(f"Ghost could not send the newsletter: {post.mail_failure[:200]}")
        return Published(post.url, "; ".join(self.remarks), self.memory.reference)

    def _posts(self) -> Posts:
        return Posts(self.api, mark_of(self.publication.key), self.memory.post)

    def _keep(self, **changes: Any) -> None:
        changed = replace(self.memory, **changes)
        if changed != self.memory:
            self.memory = changed
            self.publication.save(changed.reference)

    def _create(self, fields: Mapping[str, Any]) -> Post:
        self.publication.check()
        post = self._posts().create({**first_fields(self.publication, self.wishes), **fields})
        self._keep(post=post.id, placed=False)
        # a creation whose answer was lost may have come to its end meanwhile
        return self._posts().only() or post

    def _place(self, post: Post, fields: Mapping[str, Any]) -> Post:
        """Gives it its content and, the first time, its status."""
        status = self._status(post)
        if not fields and not status:
            return post
        self.publication.check()
        mail = self._mail(post) if status else {}
        if mail:
            self._keep(mailing=post.id)
        return self._posts().change(post, {**fields, **status}, **mail)

    def _status(self, post: Post) -> Mapping[str, Any]:
        if self.memory.placed and self.memory.post == post.id and not post.is_public:
            if self.wishes.status != "draft":
                self.remarks.append("it stays a draft, as somebody made it one in Ghost")
            return {}
        if post.is_public or self.wishes.status == "draft":
            return {}
        if self.wishes.status == "published":
            return {"status": "published"}
        at = max(self.publication.published_at + self.wishes.delay, self.now + _SOONEST)
        return {"status": "scheduled", "published_at": at.isoformat(timespec="milliseconds")}

    def _mail(self, post: Post) -> Mapping[str, str]:
        """The query that mails it: Ghost mails a post once, when it becomes public, and we mail one post."""
        if not self.wishes.mail or post.mailed:
            return {}
        if self.memory.mailing not in (None, post.id):
            self.remarks.append("not mailed: an earlier post of this story, which is gone, may have been")
            return {}
        # asked to mail by one that it doesn't have, Ghost 6 answers 500, as if it were to be tried again
        self.api.need_newsletter(self.wishes.mail["newsletter"])
        return self.wishes.mail

    def _uploaded(self, post: Post | None) -> Uploaded:
        """The files in Ghost: those that are known, those that the post shows, or new ones."""
        stem = file_stem(self.publication)
        if self.memory.stem != stem:
            shown = Uploaded(None) if post is None else uploaded_in(post.raw, stem)
            files = asdict(shown)
            self.memory = Memory(**{**self.memory.reference, "stem": stem, **files})
        if self.memory.video is None and self._is_wanted():
            self._upload_video(stem)
        if self.memory.image is None:
            self._upload_image(stem)
        return Uploaded(self.memory.video, self.memory.thumbnail, self.memory.image)

    def _is_wanted(self) -> bool:
        """Whether the video is to be uploaded."""
        limit, video = self.wishes.upload_limit, self.publication.video
        if self.wishes.upload and limit is not None and video.bytes > limit:
            self.remarks.append(f"the video is linked, for 30 days: {size(video.bytes)} is over upload_limit")
            return False
        return self.wishes.upload

    def _upload_video(self, stem: str) -> None:
        self.publication.check()
        poster = self.publication.files.poster()
        try:
            with self.publication.files.video() as path:
                parts = [FormFile("file", f"{stem}.mp4", "video/mp4", FileBody(path))]
                if poster is not None:
                    with poster as jpeg:
                        parts.append(FormFile("thumbnail", f"{stem}.jpg", "image/jpeg", jpeg.read_bytes()))
                made = self.api.upload("/media/upload/", "media", parts, self.publication.video.bytes)
        except GhostRefused as refused:
            if not refused.permanent or refused.status == NOT_FOUND:
                raise
            why = "it is larger than Ghost's server takes" if refused.status == TOO_LARGE else str(refused)
            self.remarks.append(f"the video is linked, for 30 days: {why}")
            return
        thumbnail = made.get("thumbnail_url")
        self._keep(
            video=address(made.get("url")), thumbnail=None if thumbnail is None else address(thumbnail)
        )

    def _upload_image(self, stem: str) -> None:
        poster = self.publication.files.poster()
        if poster is None:
            return
        with poster as path:
            jpeg = path.read_bytes()
        parts = (FormField("purpose", "image"), FormFile("file", f"{stem}.jpg", "image/jpeg", jpeg))
        try:
            made = self.api.upload("/images/upload/", "images", parts, len(jpeg))
        except GhostRefused as refused:
            if not refused.permanent:
                raise
            self.remarks.append(f"without a feature image: {refused}")
            return
        self._keep(image=address(made.get("url")))


def first_fields(publication: Publication, wishes: Wishes) -> dict[str, Any]:
    """What a new post says beside; later it is the editors'."""
    excerpt = {"custom_excerpt": excerpt_of(publication.story)}
    return {"slug": slug_of(publication), **excerpt, **wishes.first}


def content_fields(publication: Publication, wishes: Wishes, uploaded: Uploaded) -> dict[str, Any]:
    """What every revision says anew."""
    content = {
        "title": title_of(publication.story),
        "lexical": wishes.body.lexical(publication, uploaded),
        "og_image": uploaded.image,
        "twitter_image": uploaded.image,
    }
    if not wishes.feature_image or uploaded.image is None:
        return content
    alt = {"feature_image_alt": alternative(publication.story)}
    return {**content, "feature_image": uploaded.image, **alt}
