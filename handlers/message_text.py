"""Texts of messages: Jinja templates, with each value escaped for the place where it goes.

Everything that a story says is untrusted. Templates are ours or the operator's own.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from pathlib import Path
from traceback import extract_tb

from jinja2 import BaseLoader, DictLoader, StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from markupsafe import Markup, escape

from handlers.sample import NAME, STORY, VIDEO
from service.domain.delivery import DeliveryFailed, Links, Publication, Scene, StoryFacts
from service.problems import hint

Values = Mapping[str, object]

MAX_TEXT = 10_000
_WEB = ("https://", "http://")
_TEMPLATE_LIMIT = 256 * 1024
_TEMPLATES = Path(__file__).parent / "templates"

_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Control characters but tab and newline, overrides that would turn the text around them, halves of pairs."""


_JOINER = "\u200d"
_JOINING = frozenset({"Mn", "Me", "Cf", "Sk"})
"""What belongs to the letter before it: accents, variation selectors, joiners, skin tones."""


class Place(Enum):
    """Where a text goes, which decides how values are escaped."""

    PLAIN = "plain"
    HTML = "html"
    MRKDWN = "mrkdwn"
    BLOCKS = "blocks"


class BrokenTemplate(DeliveryFailed):
    """A template can't be rendered: the destination waits until the operator has mended it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, refused=True)


def clean(text: str) -> str:
    """The text without control characters, direction overrides and lone surrogates, each line end a newline."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def cut(text: str, limit: int) -> str:
    """At most `limit` UTF-16 units, which is what the strictest place counts; an ellipsis says that more was there."""
    if _units(text) <= limit:
        return text
    fitting = text.encode("utf-16-le", "surrogatepass")[: 2 * (limit - 1)].decode("utf-16-le", "ignore")
    end = len(fitting)
    while end and (unicodedata.category(text[end]) in _JOINING or text[end - 1] == _JOINER):
        end -= 1
    return text[:end].rstrip() + "…"


def line(text: str) -> str:
    """The text on one line."""
    return " ".join(clean(text).split())


def mrkdwn(text: str) -> Markup:
    """Text as Slack's mrkdwn shows it literally: its three control characters escaped (Slack, "Escaping text")."""
    return Markup(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))  # noqa: S704 (escaped)


def blocks(text: str) -> Markup:
    """Text as a WordPress post shows it literally: beside HTML's characters those of shortcodes, and the colon of
    addresses, which WordPress would fetch and embed where one stands alone (WP_Embed::autoembed).
    """
    escaped = str(escape(text)).replace("[", "&#91;").replace("]", "&#93;").replace("://", "&#58;//")
    return Markup(escaped)  # noqa: S704 (escaped)


def clock(seconds: float) -> str:
    """A length as people read it: 0:15, 12:05, 1:02:30."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: int) -> str:
    """A number of bytes as people read it: 900 bytes, 2.4 MB (of 1,000,000 bytes)."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"


@dataclass(frozen=True)
class MessageText:
    """A template that is known to render.

    `name` is that of a template in handlers/templates; `override` stands in for it: a file, or the text itself.
    `of_the_place` is what this place's sample has beside that of all.
    Raises BrokenTemplate, with file and line, when the template can't be read or rendered for a sample.
    """

    name: str
    place: Place
    override: Path | str | None = None
    of_the_place: Values = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.render({**SAMPLE, **self.of_the_place})

    def render(self, values: Values) -> str:
        """The text for these values. Raises BrokenTemplate."""
        label, text = self._source()
        try:
            return _compiled(self.place, label, text).render(values).strip()
        except TemplateError as error:
            raise BrokenTemplate(
                f"the template {label}{_line(error)} can't be rendered: {error}; mend it"
            ) from error
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise BrokenTemplate(
                f"the template {label}{_line(error)} fails: {type(error).__name__}: {error}; mend it"
            ) from error

    def _source(self) -> tuple[str, str]:
        if self.override is None:
            return self.name, _read(_TEMPLATES / self.name)
        if isinstance(self.override, str):
            return self.name, self.override
        return str(self.override), _read(self.override)


@lru_cache(maxsize=64)  # some 20 ms of compiling, which is done at start and not again for each delivery
def _compiled(place: Place, label: str, text: str) -> Template:
    return sandbox(place, DictLoader({label: text})).get_template(label)


def _line(error: Exception) -> str:
    """`, line 3`: where in the template it happened, '' where that can't be told."""
    if isinstance(error, TemplateSyntaxError):
        return f", line {error.lineno}"
    # Jinja makes the traceback's frames those of the template; one that came from no file has this name
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == "<template>"]
    return f", line {lines[-1]}" if lines else ""


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(_TEMPLATE_LIMIT)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BrokenTemplate(
            f"the template {path} can't be read: {reason}; see the destination's options"
        ) from error


class _Unknown(StrictUndefined):
    """A name that there is not: Jinja's message names our classes, people want the nearest right name."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        name = self._undefined_name
        if self._undefined_hint or not isinstance(name, str):
            return super()._undefined_message
        owner = SAMPLE if self._undefined_obj is missing else self._undefined_obj
        known = [str(each) for each in (owner if isinstance(owner, Mapping) else dir(owner))]
        return f"there is no {name!r}{hint(name, [each for each in known if not each.startswith('_')])}"


def sandbox(place: Place, loader: BaseLoader | None = None) -> ImmutableSandboxedEnvironment:
    """What templates are rendered in: sandboxed, strict about names, each value escaped for the place."""
    environment = ImmutableSandboxedEnvironment(
        loader=loader,
        undefined=_Unknown,
        autoescape=place in (Place.HTML, Place.BLOCKS),
        finalize=_finalizer(place),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clock": clock, "size": size, "line": line, "cut": cut}
    return environment


def _finalizer(place: Place) -> Callable[[object], object]:
    escapes: dict[Place, Callable[[str], str]] = {
        Place.PLAIN: str,
        Place.HTML: escape,
        Place.MRKDWN: mrkdwn,
        Place.BLOCKS: blocks,
    }

    def finalize(value: object) -> object:
        if isinstance(value, StrictUndefined | Markup):
            return value
        return escapes[place](clean(str(value)))

    return finalize


def values_of(publication: Publication, **of_the_place: object) -> Values:
    """What templates see of a publication; the story's texts are cleaned and cut to a sane length.

    `elsewhere` says where the story can be seen already: destination → an http or https URL.
    """
    return {
        "story": readable(publication.story),
        "video": publication.video,
        "links": publication.links,
        "route": publication.route,
        "destination": publication.destination,
        "repeat": publication.repeat,
        "published_at": publication.published_at,
        # an address that a place gave us: never javascript: or data:
        "elsewhere": {name: url for name, url in publication.elsewhere.items() if url.startswith(_WEB)},
        **of_the_place,
    }


def readable(story: StoryFacts) -> StoryFacts:
    """The story with each of its texts cleaned and cut to a sane length."""
    return replace(
        story,
        title=cut(clean(story.title), MAX_TEXT),
        idea=cut(clean(story.idea), MAX_TEXT),
        scenes=tuple(Scene(clean(one.name), cut(clean(one.narration), MAX_TEXT)) for one in story.scenes),
    )


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


SAMPLE: Values = {
    "story": STORY,
    "video": VIDEO,
    "links": Links("https://media.test/video", "https://media.test/poster", "https://media.test/captions"),
    "route": NAME,
    "destination": NAME,
    "repeat": 0,
    "published_at": datetime(2026, 1, 2, 3, 10, tzinfo=UTC),
    "elsewhere": {NAME: "https://cms.test/a-sample"},
    "poster_cid": "poster@sample",
    "attached": True,
}
"""What every template must be able to show."""
