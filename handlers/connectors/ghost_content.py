"""What stands in a Ghost post: its body in Lexical's JSON, as Ghost's editor makes it, and the names of its files.

Ghost escapes the texts of paragraphs when it renders them. It does not escape a card's address, caption or HTML
(kg-default-nodes, `video-renderer`, `toggle-renderer`): what goes there is checked or escaped here.
"""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from markupsafe import escape

from handlers.message_text import MessageText, Place, clock, cut, line, readable, values_of
from service.domain.delivery import DeliveryFailed, Publication, StoryFacts

TITLE = 255
"""UTF-16 units of a title, in Ghost 5 and 6."""
_ALT, _EXCERPT = 125, 300
_HTML = (".html", ".html.jinja", ".html.j2")
_ADDRESS = re.compile(r"https?://[^\s\"'<>\\(){}`]+")
Node = dict[str, Any]


@dataclass(frozen=True)
class Uploaded:
    """Addresses of the files that Ghost has, None where there is none."""

    video: str | None
    thumbnail: str | None = None
    image: str | None = None


@dataclass(frozen=True)
class Body:
    """What the post says beside the video: a template, and whether the transcript is folded in below.

    A template whose name ends in .html or .html.jinja becomes an HTML card, any other one paragraphs.
    """

    template: Path | None
    transcript: bool

    @property
    def text(self) -> MessageText:
        """The template. Raises BrokenTemplate."""
        return MessageText("ghost.txt.jinja", Place.HTML if self._is_html else Place.PLAIN, self.template)

    @property
    def _is_html(self) -> bool:
        return self.template is not None and self.template.name.endswith(_HTML)

    def lexical(self, publication: Publication, uploaded: Uploaded) -> str:
        """The post's body."""
        nodes = [_video(publication, uploaded), *self._said(publication)]
        if self.transcript:
            nodes += _transcript(publication.story)
        root = _element("root", nodes)
        return json.dumps({"root": root}, ensure_ascii=False)

    def _said(self, publication: Publication) -> Sequence[Node]:
        said = self.text.render(values_of(publication))
        if self._is_html:
            return [{"type": "html", "version": 1, "html": said}] if said else []
        return [_paragraph(_lines(part)) for part in re.split(r"\n\s*\n", said) if part.strip()]


def mark_of(key: str) -> str:
    """The end of the slug by which a post is found again."""
    return sha256(key.encode()).hexdigest()[:12]


def title_of(story: StoryFacts) -> str:
    """The post's title."""
    return cut(line(story.name) or "A video", TITLE)


def slug_of(publication: Publication) -> str:
    """The slug: what can be read of the title, then our mark."""
    plain = unicodedata.normalize("NFKD", publication.story.name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain)[:60].strip("-")
    return f"{words or 'video'}-{mark_of(publication.key)}"


def alternative(story: StoryFacts) -> str:
    """The feature image's text for those who don't see it."""
    return cut(f"Poster of the video: {line(story.name)}", _ALT)


def excerpt_of(story: StoryFacts) -> str:
    """What listings, mails and search engines show. Left to Ghost, it begins with the player's own "0:00 / 0:15 1×"."""
    texts = (line(story.idea), *(line(scene.narration) for scene in story.scenes), line(story.name))
    return cut(next((text for text in texts if text), "A video"), _EXCERPT)


def file_stem(publication: Publication) -> str:
    """The name of the files of this video, which says which video it is."""
    return f"{mark_of(publication.key)}-{publication.video.sha256[:12]}"


def uploaded_in(post: Mapping[str, Any], stem: str) -> Uploaded:
    """The files with this stem that a post shows, as `lexical` and `og_image` say."""
    image = post.get("og_image")
    video, thumbnail = None, None
    for node in _nodes(post.get("lexical")):
        if node.get("type") == "video" and stem in str(node.get("src")):
            video, thumbnail = _known(node.get("src")), _known(node.get("thumbnailSrc"))
    return Uploaded(video, thumbnail, _known(image) if stem in str(image) else None)


def address(said: Any) -> str:
    """An address that Ghost answered, fit for an attribute. Raises DeliveryFailed."""
    if not isinstance(said, str) or not _ADDRESS.fullmatch(said):
        raise DeliveryFailed(
            "Ghost answered no address for an uploaded file, or one that is no plain http(s) URL"
        )
    return said


def _known(said: Any) -> str | None:
    return said if isinstance(said, str) and _ADDRESS.fullmatch(said) else None


def _nodes(lexical: Any) -> Sequence[Mapping[str, Any]]:
    try:
        nodes = json.loads(lexical)["root"]["children"]
    except (TypeError, ValueError, KeyError, RecursionError):
        return ()
    return [node for node in nodes if isinstance(node, Mapping)] if isinstance(nodes, list) else ()


def _video(publication: Publication, uploaded: Uploaded) -> Node:
    video = publication.video
    if uploaded.video is None:
        words = f"Watch the video ({clock(video.seconds)})"
        link = {"rel": None, "target": None, "title": None, "url": address(publication.links.video)}
        return _paragraph([{**_element("link", [_text(words)]), **link}])
    return {
        "type": "video",
        "version": 1,
        "src": uploaded.video,
        "caption": "",
        "fileName": "video.mp4",
        "mimeType": "video/mp4",
        "width": video.width,
        "height": video.height,
        "duration": video.seconds,
        "thumbnailSrc": uploaded.thumbnail or "",
        "customThumbnailSrc": "",
        "thumbnailWidth": video.width,
        "thumbnailHeight": video.height,
        "cardWidth": "regular",
        "loop": False,
    }


def _transcript(story: StoryFacts) -> Sequence[Node]:
    """What is spoken, folded: Ghost's video card takes no captions."""
    spoken = [scene for scene in readable(story).scenes if line(scene.narration)]
    if not spoken:
        return []
    content = "".join(
        f"<p><b><strong>{escape(line(one.name))}</strong></b><br>{escape(line(one.narration))}</p>"
        for one in spoken
    )
    return [{"type": "toggle", "version": 1, "heading": "<span>Transcript</span>", "content": content}]


def _lines(text: str) -> Sequence[Node]:
    nodes: list[Node] = []
    for one in text.strip().split("\n"):
        nodes += [{"type": "linebreak", "version": 1}, _text(one.strip())] if nodes else [_text(one.strip())]
    return nodes


def _text(text: str) -> Node:
    return {
        "type": "extended-text",
        "version": 1,
        "text": text,
        "detail": 0,
        "format": 0,
        "mode": "normal",
        "style": "",
    }


def _paragraph(nodes: Sequence[Node]) -> Node:
    return _element("paragraph", nodes)


def _element(kind: str, nodes: Sequence[Node]) -> Node:
    return {
        "type": kind,
        "version": 1,
        "children": list(nodes),
        "direction": None,
        "format": "",
        "indent": 0,
    }
