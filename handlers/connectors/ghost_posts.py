"""The posts of one story in Ghost: found by the mark in their slugs, changed under Ghost's own guard.

Ghost's look-up and creation are two calls, so an attempt whose answer was lost may leave a second post. A post is
therefore made as a draft, which nobody sees; before it is published all posts with the mark are looked at, one is
chosen by what can't be taken back (mailed, then published, then older), and untouched drafts beside it are deleted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from handlers.connectors.ghost_api import CONFLICT, NOT_FOUND, GhostApi, GhostRefused, listed
from service.domain.delivery import DeliveryFailed

_WANTED = {"formats": "lexical", "include": "email,newsletter"}
_COLLISIONS = 4
"""How often a change is tried anew when somebody saves the post at the same time."""
_ID = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True)
class Post:
    """A post as Ghost says it stands. `updated_at` is what a change must show."""

    id: str
    slug: str
    status: str
    created_at: str
    updated_at: str
    url: str | None
    mailed: bool
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def is_untouched_draft(self) -> bool:
        """Whether nobody, neither we nor an editor, saved it since it was made."""
        return self.status == "draft" and self.updated_at == self.created_at and not self.mailed

    @property
    def is_public(self) -> bool:
        """Whether readers see it, or will at its time."""
        return self.status in ("published", "scheduled", "sent")

    @property
    def mail_failure(self) -> str:
        """Why Ghost could not send its newsletter; empty where it could or had not to."""
        email = self.raw.get("email")
        return str(email.get("error") or "") if isinstance(email, Mapping) else ""


@dataclass(frozen=True)
class Posts:
    """The posts whose slugs have the mark, and the one whose id is remembered."""

    api: GhostApi
    mark: str
    known: str | None = None

    def find(self) -> list[Post]:
        """All of them, the one to keep first."""
        wanted = f"slug:~'{self.mark}'"
        if self.known is not None and _ID.fullmatch(self.known):
            wanted += f",id:'{self.known}'"
        found = self.api.get("/posts/", filter=wanted, limit="20", **_WANTED)
        ours = re.compile(rf"(.*-)?{self.mark}(-\d+)?")
        posts = [_post(raw) for raw in listed(found, "posts")]
        posts = [post for post in posts if post.id == self.known or ours.fullmatch(post.slug)]
        # two attempts that see the same posts choose the same one
        return sorted(posts, key=lambda post: (not post.mailed, not post.is_public, post.created_at, post.id))

    def only(self) -> Post | None:
        """The one to keep, after the deletion of untouched drafts beside it."""
        found = self.find()
        for double in found[1:]:
            if double.is_untouched_draft:
                self.api.delete(f"/posts/{double.id}/")
        return found[0] if found else None

    def create(self, fields: Mapping[str, Any]) -> Post:
        """Makes a draft."""
        return _post(self.api.send("POST", "/posts/", "posts", {**fields, "status": "draft"}, **_WANTED))

    def change(self, post: Post, fields: Mapping[str, Any], **query: str) -> Post:
        """Changes it; when somebody else did so meanwhile, reads it again and changes that."""
        for _ in range(_COLLISIONS):
            content = {**fields, "updated_at": post.updated_at}
            try:
                changed = self.api.send("PUT", f"/posts/{post.id}/", "posts", content, **_WANTED, **query)
            except GhostRefused as refused:
                if refused.status == NOT_FOUND:
                    raise DeliveryFailed("the post has just been deleted in Ghost") from refused
                if refused.status != CONFLICT:
                    raise
                post = self._again(post)
            else:
                return _post(changed)
        raise DeliveryFailed("somebody saves the post in Ghost all the time", retry_after=60)

    def _again(self, post: Post) -> Post:
        found = listed(self.api.get(f"/posts/{post.id}/", **_WANTED), "posts")
        if len(found) != 1:
            raise DeliveryFailed("Ghost answered no post where there was one")
        return _post(found[0])


def _post(raw: Mapping[str, Any]) -> Post:
    texts = [raw.get(name) for name in ("id", "slug", "status", "created_at", "updated_at")]
    if not all(isinstance(text, str) for text in texts) or not _ID.fullmatch(str(texts[0])):
        raise DeliveryFailed("Ghost answered a post without its id, slug, status or times")
    url = raw.get("url")
    return Post(
        id=raw["id"],
        slug=raw["slug"],
        status=raw["status"],
        created_at=raw["created_at"],
        updated_at=raw["updated_at"],
        url=url if isinstance(url, str) and url.startswith(("http://", "https://")) else None,
        mailed=bool(raw.get("email")) or bool(raw.get("newsletter")),
        raw=raw,
    )
