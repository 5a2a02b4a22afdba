"""A story as a post of the block editor: what the template sees, with block attributes that can't end their comment."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from handlers.connectors.wordpress_media import Medium
from handlers.message_text import MessageText, Place, Values, values_of
from service.domain.delivery import Publication

_ESCAPES = {"--": "\\u002d\\u002d", "<": "\\u003c", ">": "\\u003e", "&": "\\u0026", '\\"': "\\u0022"}
"""As WordPress's own serialize_block_attributes has it."""
_CODES = {
    "Arabic": "ar",
    "Chinese": "zh",
    "English": "en",
    "French": "fr",
    "German": "de",
    "Hindi": "hi",
    "Japanese": "ja",
    "Korean": "ko",
    "Spanish": "es",
    "Turkish": "tr",
}
"""BCP 47 codes of the Story API's languages, for players."""


@dataclass(frozen=True)
class File:
    """A file of the media library as templates see it; `url` is escaped."""

    id: int
    url: Markup


def block_attributes(attributes: Mapping[str, object]) -> Markup:
    """Attributes for a block's comment: JSON in which nothing ends the comment or begins a tag."""
    text = json.dumps(attributes, ensure_ascii=False, separators=(",", ":"))
    for character, escaped in _ESCAPES.items():
        text = text.replace(character, escaped)
    return Markup(text)  # noqa: S704 (escaped)


def content_template(override: Path | None) -> MessageText:
    """The post's template. Raises BrokenTemplate."""
    sample = {name: Medium(1, f"https://blog.test/{name}") for name in ("video", "poster", "captions")}
    return MessageText("wordpress.html.jinja", Place.BLOCKS, override, _of_media(sample, "English"))


def content(template: MessageText, publication: Publication, media: Mapping[str, Medium]) -> str:
    """The post's content. Raises BrokenTemplate."""
    return template.render(values_of(publication, **_of_media(media, publication.story.language)))


def _of_media(media: Mapping[str, Medium], language: str | None) -> Values:
    files = {kind: File(medium.id, escape(medium.url)) for kind, medium in media.items()}
    code = _CODES.get(language or "", "en")
    label = language or "Captions"
    return {
        "uploaded": files.get("video"),
        "poster": files.get("poster"),
        "captions": files.get("captions"),
        "language_code": code,
        "language_label": label,
        "video_attributes": _video_attributes(media, code, label),
    }


def _video_attributes(media: Mapping[str, Medium], code: str, label: str) -> Markup:
    attributes: dict[str, object] = {}
    if "video" in media:
        attributes["id"] = media["video"].id
    if "captions" in media:
        track = {"src": media["captions"].url, "label": label, "srcLang": code, "kind": "captions"}
        attributes["tracks"] = [track]
    return block_attributes(attributes)
