"""The texts of a mail, by templates that a route may have of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from handlers.connectors.email_options import EmailOptions
from handlers.message_text import MessageText, Place, Values, cut, line, values_of
from service.domain.delivery import Publication

_SUBJECT_LIMIT = 200
_SAMPLE = {"elsewhere": {"sample": "https://cms.test/a-sample"}}


@dataclass(frozen=True)
class Texts:
    """One mail's: the subject on one line, plain text and HTML."""

    subject: str
    text: str
    html: str


class MailTexts:
    """The templates of one destination. Raises BrokenTemplate for one that can't be read or rendered."""

    def __init__(self, options: EmailOptions, base: Path) -> None:
        self._subject = MessageText("email_subject.txt.jinja", Place.PLAIN, options.subject, _SAMPLE)
        self._text = _by_route(
            "email.txt.jinja", Place.PLAIN, options.text_template, options.text_templates, base
        )
        self._html = _by_route("email.html.jinja", Place.HTML, options.template, options.templates, base)

    def render(self, publication: Publication, *, attached: bool, poster_cid: str | None) -> Texts:
        """For one publication; `elsewhere` has only what a mail may link to."""
        elsewhere = {
            name: url
            for name, url in publication.elsewhere.items()
            if url.startswith(("https://", "http://"))  # it came from a place: never javascript: or data:
        }
        values = values_of(publication, attached=attached, poster_cid=poster_cid, elsewhere=elsewhere)
        return Texts(
            subject=cut(line(self._subject.render(values)), _SUBJECT_LIMIT),
            text=_of(self._text, publication.route, values),
            html=_of(self._html, publication.route, values),
        )


def _by_route(
    name: str, place: Place, usual: Path | None, routes: Mapping[str, Path], base: Path
) -> Mapping[str | None, MessageText]:
    files: dict[str | None, Path | None] = {None: usual}
    files.update(routes)
    return {
        route: MessageText(name, place, None if file is None else base / file, _SAMPLE)
        for route, file in files.items()
    }


def _of(texts: Mapping[str | None, MessageText], route: str, values: Values) -> str:
    return texts.get(route, texts[None]).render(values)
