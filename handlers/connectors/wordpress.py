"""Publishes to a WordPress site by its REST API: a post with the video, its poster and its captions.

Once: files and post are found again by slugs that are made of the story's key, before anything is made; what two
attempts made at the same time is brought down to the oldest.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, model_validator

from handlers.connectors.options import ConnectorOptions, HttpUrl
from handlers.connectors.wordpress_account import Wishes, describe
from handlers.connectors.wordpress_answers import WordPressRefusal
from handlers.connectors.wordpress_api import Login, WordPressApi
from handlers.connectors.wordpress_blocks import content, content_template
from handlers.connectors.wordpress_media import MediaLibrary, Medium, Upload, html_text, uploads
from handlers.connectors.wordpress_posts import Post, Posts, author_id, mark, slug_of, terms
from handlers.message_text import cut, line
from service.connectors import ConnectorTools
from service.domain.delivery import DeliveryFailed, Notice, PreviewPart, Publication, Published, Withdrawal

_TITLE = 400
_EXCERPT = 300
_OVERLOADS = 2
"""Uploads of the video that may end in a 500 before it is linked: PHP's memory is no larger the next time."""
_LINKED = "the video is linked, for 30 days"


class WordPressOptions(ConnectorOptions):
    """`url` is the site's address, http only on this machine or with `insecure = true`.

    `status`: draft, publish, or future, `delay` seconds later. `author`: a user's number or name. Categories and
    tags are names. `upload` = link, or a video of more than `upload_limit` bytes: a link of 30 days.
    `template` is a file relative to the configuration file. `withdrawn`: what becomes of a withdrawn post.
    `ca_file` holds the certificate authority of a private server. `timeout` of a call in seconds, without uploads.
    """

    url: HttpUrl
    username: str = Field(min_length=1)
    application_password: SecretStr
    insecure: bool = False
    ca_file: Path | None = None
    status: Literal["draft", "publish", "future"] = "publish"
    delay: float = Field(default=0, ge=0)
    post_type: str = Field(default="post", pattern=r"^[a-z0-9_-]{1,20}$")
    author: int | str | None = None
    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    upload: Literal["video", "link"] = "video"
    upload_limit: int | None = Field(default=None, ge=0)
    featured_image: bool = True
    template: Path | None = None
    withdrawn: Literal["trash", "delete"] = "trash"
    timeout: float = Field(default=60, gt=0, le=600)

    @model_validator(mode="after")
    def _fits_together(self) -> "WordPressOptions":
        if (self.status == "future") != (self.delay > 0):
            raise ValueError("status = future and a delay belong together")
        if ":" in self.username:
            raise ValueError("a username has no colon")
        parts = urlsplit(self.url)
        if parts.query or parts.fragment:
            raise ValueError("url is the site's address, without ? and #")
        if parts.scheme == "http" and not (self.insecure or _is_this_machine(parts.hostname or "")):
            raise ValueError("http to another machine shows the password: use https, or say insecure = true")
        return self


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class _Files:
    """What the post shows, and what people should know of what it doesn't."""

    media: Mapping[str, Medium]
    remarks: Sequence[str]


class WordPressConnector:
    """Keeps each story as one post."""

    Options: ClassVar[type[BaseModel]] = WordPressOptions
    notifies: ClassVar[bool] = False

    def __init__(self, options: WordPressOptions, tools: ConnectorTools) -> None:
        self._options = options
        self._tools = tools
        ca_file = None if options.ca_file is None else tools.base / options.ca_file
        self._api = WordPressApi(
            Login(options.url, options.username, options.application_password, options.timeout, ca_file),
            tools,
        )
        self._posts = Posts(self._api, options.post_type)
        template = None if options.template is None else tools.base / options.template
        self._template = content_template(template)

    def publish(self, publication: Publication) -> Published:
        """Uploads what is missing, makes or changes the post, then removes files of earlier revisions."""
        slug = slug_of(publication.key)
        library = self._library(slug)
        post = self._posts.find(slug, publication.reference)
        files = self._files(publication, library)
        publication.check()
        fields = self._content_fields(publication, files.media)
        remarks = [*files.remarks]
        if post is None:
            more, remark = self._first_fields()
            post = self._posts.create(slug, {**fields, **more})
            remarks.append(remark)
        else:
            post = self._posts.update(post, fields)
        reference = {**self._posts.where, **_reference(post, files.media)}
        publication.save(reference)
        remarks.append(library.remove_all_but(one.id for one in files.media.values()))
        remarks.insert(0, {"publish": "published", "future": "scheduled"}.get(post.status, post.status))
        return Published(url=post.link, remark="; ".join(filter(None, remarks)), reference=reference)

    def withdraw(self, withdrawal: Withdrawal) -> Published:
        """Takes the post away, and its files for good."""
        slug = slug_of(withdrawal.key)
        post = self._posts.find(slug, withdrawal.reference)
        for_good = self._options.withdrawn == "delete"
        if post is not None:
            self._posts.remove(post, for_good=for_good)
        left = self._library(slug).remove_all_but(())
        done = "was gone already" if post is None else "deleted" if for_good else "in the site's trash"
        return Published(remark="; ".join(filter(None, [done, left])), reference={})

    def preview(self, publication: Publication) -> Sequence[PreviewPart]:
        """The post's content, and its other fields as JSON."""
        base = f"{self._options.url.rstrip('/')}/wp-content/uploads/{slug_of(publication.key)}"
        there = {"video": "mp4", "poster": "jpg", "captions": "vtt"}
        if not self._uploads_video(publication):
            del there["video"]
        if publication.links.poster is None:
            del there["poster"]
        if publication.links.captions is None:
            del there["captions"]
        media = {kind: Medium(0, f"{base}-{kind}.{ending}") for kind, ending in there.items()}
        fields = self._content_fields(publication, media)
        markup = str(fields.pop("content"))
        shown = {"slug": slug_of(publication.key), "status": self._options.status, **fields}
        shown |= {"categories": self._options.categories, "tags": self._options.tags}
        return [
            PreviewPart("post.html", markup),
            PreviewPart("post.json", json.dumps(shown, indent=2, ensure_ascii=False)),
        ]

    def notify(self, notice: Notice) -> Published:
        """Refused: a site is for its visitors, and a draft is seen by nobody in time."""
        raise DeliveryFailed(
            f"{notice.title}: WordPress is no place for notices; name a slack, email or webhook destination "
            "under [notices]",
            permanent=True,
        )

    def check(self) -> str:
        """Logs in and compares the account's rights with what the options need."""
        options = self._options
        wishes = Wishes(options.status != "draft", options.author is not None, bool(options.categories))
        return describe(self._api, options.url, wishes)

    def send_test(self) -> Published:
        """Makes a draft that says that it is a test, and deletes it."""
        slug = f"storyrelay-test-{uuid.uuid4().hex[:12]}"
        text = f"A test by Storyrelay for its destination {self._tools.destination}. It can be deleted."
        post = self._posts.create(
            slug, {"status": "draft", "title": "[Test] Storyrelay", "content": html_text(text)}
        )
        self._posts.remove(post, for_good=True)
        return Published(remark=f"made the draft {post.id} at {self._api.host} and deleted it")

    def _library(self, slug: str) -> MediaLibrary:
        return MediaLibrary(self._api, slug, self._options.timeout)

    def _files(self, publication: Publication, library: MediaLibrary) -> _Files:
        wanted = uploads(publication, video=self._uploads_video(publication))
        media, remarks = library.find(wanted), []
        if not any(one.kind == "video" for one in wanted):
            remarks.append(_LINKED)
        for upload in wanted:
            if upload.kind in media:
                continue
            publication.check()
            try:
                media[upload.kind] = library.put(upload, publication)
            except WordPressRefusal as refusal:
                remarks.append(self._without(upload, refusal, publication))
        return _Files(media, remarks)

    def _uploads_video(self, publication: Publication) -> bool:
        options = self._options
        if publication.reference.get("overloads", 0) >= _OVERLOADS:
            return False
        fits = options.upload_limit is None or publication.video.bytes <= options.upload_limit
        return options.upload == "video" and fits

    def _without(self, upload: Upload, refusal: WordPressRefusal, publication: Publication) -> str:
        """Remarks that a file is not taken for what it is; any other refusal is raised."""
        if refusal.status == 413 or (refusal.permanent and refusal.code.startswith("rest_upload_")):
            return f"{_LINKED}: {refusal}" if upload.kind == "video" else f"without {upload.kind}: {refusal}"
        if refusal.status == 500 and upload.kind == "video":
            known = publication.reference
            publication.save({**known, "overloads": known.get("overloads", 0) + 1})
        raise refusal

    def _content_fields(self, publication: Publication, media: Mapping[str, Medium]) -> dict[str, Any]:
        story = publication.story
        fields: dict[str, Any] = {
            "title": html_text(cut(line(story.name), _TITLE)),
            "content": content(self._template, publication, media) + mark(slug_of(publication.key)),
        }
        if story.idea and story.idea != story.name:
            fields["excerpt"] = html_text(cut(line(story.idea), _EXCERPT))
        if self._options.featured_image and "poster" in media:
            fields["featured_media"] = media["poster"].id
        return fields

    def _first_fields(self) -> tuple[dict[str, Any], str]:
        """What a post gets when it is made and people may change afterwards; and a remark."""
        options, remarks = self._options, []
        fields: dict[str, Any] = {"status": options.status}
        if options.status == "future":
            due = self._tools.now() + timedelta(seconds=options.delay)
            fields["date_gmt"] = due.strftime("%Y-%m-%dT%H:%M:%S")
        if options.author is not None:
            fields["author"] = author_id(self._api, options.author)
        for taxonomy, names in (("categories", options.categories), ("tags", options.tags)):
            if names:
                found = terms(self._api, taxonomy, names)
                fields[taxonomy] = found.ids
                remarks.append(found.remark)
        return fields, "; ".join(filter(None, remarks))


def _reference(post: Post, media: Mapping[str, Medium]) -> dict[str, Any]:
    return {"post": post.id, "url": post.link, "media": {kind: one.id for kind, one in media.items()}}
