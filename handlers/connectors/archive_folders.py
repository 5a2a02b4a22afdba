"""Where an archive keeps a story: a folder named by a template, each value in it one harmless part of a path."""

from collections import UserDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from handlers.message_text import SAMPLE, BrokenTemplate, Place, clean, sandbox
from service.domain.delivery import StoryFacts
from service.video_store import check_key, safe_segment

BY_ID = "{{ story.id }}"

_LONGEST_FILE = "/r1000/captions.vtt"


@dataclass(frozen=True)
class FolderName:
    """Names a story's folder by a template, which sees `story` and `destination`.

    A value becomes one part of a path, of lower-case ASCII (`service.video_store.safe_segment`); slashes between
    parts stand in the template itself, or in the format of `|date("%Y/%m")`.
    Raises BrokenTemplate, also where two stories would share a folder.
    """

    template: str = BY_ID

    def __post_init__(self) -> None:
        one, other = (self.of(_sample(f"story-sample-{number}"), "sample") for number in (1, 2))
        if one == other or f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/"):
            raise BrokenTemplate(
                "two stories would share a folder: let the key template end in {{ story.id }}, as "
                '{{ story.created_at|date("%Y/%m") }}/{{ story.id }} does'
            )

    def of(self, story: StoryFacts, destination: str) -> str:
        """The folder of the story's first revision. Raises BrokenTemplate."""
        try:
            folder = _ENVIRONMENT.from_string(self.template).render(story=story, destination=destination)
            check_key(folder + _LONGEST_FILE)
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise BrokenTemplate(f"the key template {self.template!r} fails: {error}; mend it") from error
        return folder

    def revisions(self, story: StoryFacts, destination: str) -> Iterator[str]:
        """The folders of its revisions up to this one. Raises BrokenTemplate."""
        first = self.of(story, destination)
        return (_of_revision(first, number) for number in range(1, story.revision + 1))

    def of_revision(self, story: StoryFacts, destination: str) -> str:
        """The folder of the story's present revision. Raises BrokenTemplate."""
        return _of_revision(self.of(story, destination), story.revision)


def _of_revision(first: str, revision: int) -> str:
    return first if revision <= 1 else f"{first}/r{revision}"


def _date(value: datetime | None, form: str) -> Markup:
    """A time by strftime's form, whose slashes part folders; the operator wrote it, so it is not a value."""
    text = "undated" if value is None else value.strftime(form)
    return Markup(text)  # noqa: S704  # marks that it is not to be made one part of a path


def _part(value: object) -> object:
    return value if isinstance(value, StrictUndefined | Markup) else safe_segment(clean(str(value)))


def _environment() -> ImmutableSandboxedEnvironment:
    finalize: Callable[[object], object] = _part
    made = sandbox(Place.PLAIN).overlay(finalize=finalize)
    made.filters["date"] = _date
    return made


_ENVIRONMENT = _environment()


class _AnyLabel(UserDict[str, str]):
    """The sample has each label that a template asks for."""

    def __missing__(self, name: str) -> str:
        return name


def _sample(story_id: str) -> StoryFacts:
    return replace(cast("StoryFacts", SAMPLE["story"]), id=story_id, labels=_AnyLabel())
