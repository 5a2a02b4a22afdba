"""Posts of WordPress, each found again by its id or by its slug, which is made of the story's key."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import unescape
from typing import Any

from handlers.connectors.wordpress_answers import WordPressRefusal
from handlers.connectors.wordpress_api import Json, WordPressApi
from handlers.connectors.wordpress_media import entries
from service.domain.delivery import DeliveryFailed, Reference

Fields = Mapping[str, object]

_FIELDS = "id,slug,status,link"
_LONGEST_KEY = 120
_SPARED = ("trash", "auto-draft")


@dataclass(frozen=True)
class Post:
    """A post that is there. `link` is where visitors find it."""

    id: int
    link: str
    status: str


def slug_of(key: str) -> str:
    """The slug for a publication's key: WordPress would change other characters itself.

    It ends in the key's digest, so that WordPress's own `-2` for a double is nobody else's slug.
    """
    readable = re.sub(r"[^a-z0-9]+", "-", key.lower())[:_LONGEST_KEY].strip("-")
    return f"{readable}-{sha256(key.encode()).hexdigest()[:8]}"


class Posts:
    """The posts of one type. `post_type` is WordPress's name: post, page, or that of a plugin."""

    def __init__(self, api: WordPressApi, post_type: str) -> None:
        self._api = api
        self._site = api.site
        self._type = post_type
        self._base = {"post": "posts", "page": "pages"}.get(post_type)

    def find(self, slug: str, reference: Reference) -> Post | None:
        """The story's post: the one that we remember, else that of its slug; the oldest where there are doubles.

        A number is remembered together with its site and type, and taken only for a post that shows our slug or our
        mark: elsewhere, or after the site was set up anew, the same number is somebody else's post.
        """
        known = reference.get("post")
        remembered = None
        if isinstance(known, int) and self._is_from_here(reference):
            remembered = self._read(known, slug)
        return remembered or next(iter(self._single(slug)), None)

    def _is_from_here(self, reference: Reference) -> bool:
        return (reference.get("site"), reference.get("post_type")) == (self._site, self._type)

    @property
    def where(self) -> dict[str, str]:
        """What a post's number has to be remembered with."""
        return {"site": self._site, "post_type": self._type}

    def create(self, slug: str, fields: Fields) -> Post:
        """Makes the post; where another of its slug turns up meanwhile, that one gets the content and ours goes."""
        made = self._api.create(self._path, {**fields, "slug": slug})
        ours = _post(made)
        # drafts may share a slug, so that the answer's own does not tell
        oldest = next(iter(self._single(slug)), ours)
        if oldest.id == ours.id:
            return ours
        return self.update(oldest, {name: fields[name] for name in ("title", "content") if name in fields})

    def update(self, post: Post, fields: Fields) -> Post:
        """Changes these fields; its status, date, slug, author and terms are people's by now."""
        return _post(self._api.update(f"{self._path}/{post.id}", fields))

    def remove(self, post: Post, *, for_good: bool) -> None:
        """Into the trash, or for good."""
        self._api.delete(f"{self._path}/{post.id}", {"force": "true"} if for_good else {})

    def _single(self, slug: str) -> list[Post]:
        """The oldest post of that slug; younger doubles go into the trash."""
        query: Mapping[str, str | int] = {
            "slug": f"{slug},{slug}-2,{slug}-3",
            "status": "any",
            "orderby": "id",
            "order": "asc",
            "_fields": _FIELDS,
        }
        found = [_post(one) for one in entries(self._api.get(self._path, query))]
        for double in found[1:]:
            self.remove(double, for_good=False)
        return found[:1]

    def _read(self, identity: int, slug: str) -> Post | None:
        query = {"context": "edit", "_fields": f"{_FIELDS},content"}
        try:
            said = self._api.get(f"{self._path}/{identity}", query)
        except WordPressRefusal as refusal:
            if refusal.status in (404, 410):
                return None
            raise
        post = _post(said)
        return post if post.status not in _SPARED and _is_ours(said, slug) else None

    @property
    def _path(self) -> str:
        if self._base is None:
            said = self._api.get(f"types/{self._type}", {"_fields": "rest_base"})
            self._base = str(said.get("rest_base") if isinstance(said, dict) else "")
        return self._base


@dataclass(frozen=True)
class Terms:
    """Ids of terms, and what people should know of those that are missing."""

    ids: Sequence[int]
    remark: str


def terms(api: WordPressApi, taxonomy: str, names: Sequence[str]) -> Terms:
    """The ids of categories or tags by name, made where they are missing and the account may."""
    ids, missing = [], []
    for name in names:
        identity = _term(api, taxonomy, name)
        if identity is None:
            missing.append(name)
        else:
            ids.append(identity)
    remark = f"without {taxonomy} {', '.join(missing)}: not there, and the account may not make any"
    return Terms(ids, remark if missing else "")


def _term(api: WordPressApi, taxonomy: str, name: str) -> int | None:
    query: Mapping[str, str | int] = {"search": name, "per_page": 100, "_fields": "id,name"}
    for one in entries(api.get(taxonomy, query)):
        if unescape(str(one.get("name", ""))).casefold() == name.casefold():
            return int(one["id"])
    try:
        return int(api.create(taxonomy, {"name": name})["id"])
    except WordPressRefusal as refusal:
        if refusal.code == "term_exists" and isinstance(refusal.data.get("term_id"), int):
            return int(refusal.data["term_id"])
        if refusal.refused:
            return None
        raise


def author_id(api: WordPressApi, author: int | str) -> int:
    """The user's id. Raises a permanent DeliveryFailed when nobody of that name can be found."""
    if isinstance(author, int):
        return author
    found: Any = api.get("users", {"search": author, "per_page": 100, "_fields": "id,name,slug"})
    for one in entries(found):
        if author.casefold() in (str(one.get("slug")).casefold(), unescape(str(one.get("name"))).casefold()):
            return int(one["id"])
    raise DeliveryFailed(
        f"no author {author!r} that this account can see: give the user's number instead (it stands in the address "
        "of their profile page)",
        permanent=True,
    )


def mark(slug: str) -> str:
    """A block that nobody sees, at the end of a post's content: by it a post is known to be ours for good."""
    return f"\n\n<!-- wp:html -->\n{_comment(slug)}\n<!-- /wp:html -->"


def _comment(slug: str) -> str:
    return f"<!-- Storyrelay: {slug} -->"


def _is_ours(said: Json, slug: str) -> bool:
    content = said.get("content")
    raw = content.get("raw") if isinstance(content, dict) else ""
    named = re.fullmatch(rf"{re.escape(slug)}(-\d+)?", str(said.get("slug"))) is not None
    return named or _comment(slug) in str(raw)


def _post(said: Json) -> Post:
    return Post(int(said["id"]), str(said.get("link", "")), str(said.get("status", "")))
