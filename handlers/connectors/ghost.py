"""Publishes to a Ghost site (5 and 6) by its Admin API: a post with a video card, the poster as its feature image.

Once: the post is found again by a mark in its slug before one is made. A newsletter goes out at most once: it is
never asked for but when a draft of ours becomes public, and Ghost itself mails a post only then, and once.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr, StringConstraints, model_validator

from handlers.connectors.ghost_api import GhostApi, Site
from handlers.connectors.ghost_content import Body, Uploaded, file_stem, mark_of
from handlers.connectors.ghost_posts import Post, Posts
from handlers.connectors.ghost_story import Memory, StoryInGhost, Wishes, content_fields, first_fields
from handlers.connectors.options import ConnectorOptions, HttpUrl
from service.connectors import ConnectorTools
from service.domain.delivery import DeliveryFailed, Notice, PreviewPart, Publication, Published, Withdrawal
from service.outbound_http.plain_text import plain

_HEX = frozenset("0123456789abcdef")
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=191)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,190}$")]


def _admin_key(key: SecretStr) -> SecretStr:
    identity, _, secret = key.get_secret_value().partition(":")
    if len(identity) != 24 or len(secret) != 64 or not set(identity + secret) <= _HEX:
        raise ValueError(
            "must be an Admin API key, 24 and 64 hexadecimal digits with a colon between them; one without a "
            "colon is the Content API key, which may only read"
        )
    return key


def _site_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise ValueError("is the site's address, without ? and #")
    return url.rstrip("/").removesuffix("/ghost")


class GhostOptions(ConnectorOptions):
    """`url` is the site's (admin) address, `admin_key` that of a custom integration.

    `status`: draft, published, or scheduled, `delay` seconds after the delivery began (at least 180). Tags by name,
    `#name` being one that readers don't see; authors by e-mail address. `newsletter` (its slug) has Ghost mail the
    post, once, to `segment` (a filter of members). `upload` = link, or a video of more than `upload_limit` bytes:
    a link of 30 days. `feature_image` = false: the poster is shown by other sites only. `transcript` folds what is
    spoken in below. `template`, a file relative to the configuration file, makes the text between. `withdrawn`: what
    becomes of a withdrawn post. `timeout` of a call in seconds, without uploads. `ca_file` holds the certificate
    authority of a private server.
    """

    url: Annotated[HttpUrl, AfterValidator(_site_url)]
    admin_key: Annotated[SecretStr, AfterValidator(_admin_key)]
    status: Literal["draft", "published", "scheduled"] = "published"
    delay: float = Field(default=0, ge=0, le=366 * 86400)
    tags: tuple[Name, ...] = ()
    visibility: Literal["public", "members", "paid"] = "public"
    authors: tuple[Annotated[str, StringConstraints(pattern=r"^[^\s@'\\]+@[^\s@'\\]+$")], ...] = ()
    newsletter: Slug | None = None
    segment: Name | None = None
    upload: Literal["video", "link"] = "video"
    upload_limit: int | None = Field(default=None, ge=0)
    feature_image: bool = True
    transcript: bool = True
    template: Path | None = None
    withdrawn: Literal["delete", "draft"] = "delete"
    timeout: float = Field(default=60, gt=0, le=600)
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "GhostOptions":
        if (self.status == "scheduled") != (self.delay >= 180):
            raise ValueError("status = scheduled and a delay of at least 180 seconds belong together")
        if self.newsletter is not None and self.status == "draft":
            raise ValueError("a draft is not mailed: newsletter needs status = published or scheduled")
        if self.segment is not None and self.newsletter is None:
            raise ValueError("segment says who of a newsletter's members gets it: give newsletter, too")
        if any(tag.startswith(",") for tag in self.tags):
            raise ValueError("a tag's name does not start with a comma")
        return self


class GhostConnector:
    """Keeps each story as one post."""

    Options: ClassVar[type[BaseModel]] = GhostOptions
    notifies: ClassVar[bool] = False

    def __init__(self, options: GhostOptions, tools: ConnectorTools) -> None:
        self._options = options
        self._tools = tools
        ca_file = None if options.ca_file is None else tools.base / options.ca_file
        self._site = Site(options.url, options.admin_key, options.timeout, ca_file)
        self._api = GhostApi(self._site, tools)
        self._wishes = _wishes(options, tools.base)
        _ = self._wishes.body.text  # a broken template is told at once

    def publish(self, publication: Publication) -> Published:
        """Uploads what is missing, makes a draft or changes the post there is, publishes it the first time."""
        return StoryInGhost(publication, self._api, self._wishes, self._tools.now()).publish()

    def withdraw(self, withdrawal: Withdrawal) -> Published:
        """Deletes the post, or makes it a draft: so always one that was mailed, that Ghost never mails it again."""
        memory = Memory.of(withdrawal.reference, self._site.url)
        posts = Posts(self._api, mark_of(withdrawal.key), memory.post)
        done = {self._take_back(posts, post) for post in posts.find()}
        kept = next(iter(done - {None}), None)
        reference = {**memory.reference, "post": kept, "placed": False}
        withdrawal.save(reference)
        remark = "it is a draft in Ghost now" if kept else "deleted" if done else "it was gone already"
        return Published(remark=f"{remark}; Ghost keeps its uploaded files", reference=reference)

    def _take_back(self, posts: Posts, post: Post) -> str | None:
        """Returns the id of a post that is still there, as a draft."""
        if self._options.withdrawn == "delete" and not post.mailed:
            self._api.delete(f"/posts/{post.id}/")
            return None
        if post.status != "draft":
            posts.change(post, {"status": "draft"})
        return post.id

    def preview(self, publication: Publication) -> list[PreviewPart]:
        """The post's fields and its body, with made-up addresses of the files."""
        stem, files = file_stem(publication), f"{self._options.url}/content"
        uploaded = Uploaded(None, image=f"{files}/images/{stem}.jpg")
        if self._options.upload == "video":
            uploaded = Uploaded(
                f"{files}/media/{stem}.mp4", f"{files}/media/{stem}_thumb.jpg", uploaded.image
            )
        fields = content_fields(publication, self._wishes, uploaded)
        body = json.loads(fields.pop("lexical"))
        whole = {**fields, **first_fields(publication, self._wishes), "status": self._options.status}
        mail = {"newsletter": dict(self._wishes.mail)} if self._wishes.mail else {}
        return [_part("post.json", {**whole, **mail}), _part("lexical.json", body)]

    def notify(self, notice: Notice) -> Published:
        """Ghost speaks to readers, and notices are for those who run this: refused for good."""
        raise DeliveryFailed(
            f"Ghost has readers and nobody to tell of trouble ({notice.kind}): name a chat or mail destination "
            "under [notices]",
            permanent=True,
        )

    def check(self) -> str:
        """Reads the site, its posts, and the authors and the newsletter of the options."""
        site = self._api.get("/site/").get("site")
        site = site if isinstance(site, dict) else {}
        self._api.get("/posts/", limit="1", fields="id")  # the site itself is told without a key
        authors = self._options.authors
        missing = [author for author in authors if not self._api.has("users", f"email:'{author}'")]
        if missing:
            raise DeliveryFailed(
                f"{self._site.host} has no author {', '.join(missing)}: Ghost would name its owner",
                refused=True,
            )
        name, version = (plain(str(site.get(of) or "?"), 80) for of in ("title", "version"))
        found = f"Ghost {version}, “{name}” at {self._site.host}"
        if self._options.newsletter is None:
            return found
        self._api.need_newsletter(self._options.newsletter)
        return f"{found}, mails by {self._options.newsletter}"

    def send_test(self) -> Published:
        """Makes a draft, which no reader sees, and deletes it."""
        title = f"A test by Storyrelay ({self._tools.destination})"
        post = Posts(self._api, "").create({"title": title})
        self._api.delete(f"/posts/{post.id}/")
        return Published(remark=f"{self._site.host} took a draft, which was deleted again")


def _wishes(options: GhostOptions, base: Path) -> Wishes:
    first: dict[str, Any] = {"visibility": options.visibility}
    if options.tags:
        first["tags"] = [{"name": name} for name in options.tags]
    if options.authors:
        first["authors"] = [{"email": email} for email in options.authors]
    mail = {"newsletter": options.newsletter} if options.newsletter else {}
    if options.segment:
        mail["email_segment"] = options.segment
    return Wishes(
        body=Body(None if options.template is None else base / options.template, options.transcript),
        status=options.status,
        delay=timedelta(seconds=options.delay),
        first=first,
        mail=mail,
        feature_image=options.feature_image,
        upload=options.upload == "video",
        upload_limit=options.upload_limit,
    )


def _part(name: str, content: Any) -> PreviewPart:
    return PreviewPart(name, json.dumps(content, ensure_ascii=False, indent=2))
