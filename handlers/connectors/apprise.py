"""Publishes to whatever apprise knows: a hundred chats, push services and mail, each by one URL.

At least once: few of these services tell what they were sent. Of several URLs, those that were told are kept after
each, so that a repeat tells only the others.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from apprise import NotifyType
from pydantic import AfterValidator, BaseModel, Field, SecretStr

from handlers.connectors.apprise_services import Format, Message, Service
from handlers.connectors.options import ConnectorOptions
from handlers.message_text import MessageText, Place, clean, line, readable, values_of
from service.connectors import ConnectorTools
from service.domain.delivery import (
    DeliveryFailed,
    Notice,
    PreviewPart,
    Publication,
    Published,
    Scene,
    StoryFacts,
    Withdrawal,
)

_MENTION = re.compile(r"@(?=everyone|here|channel|all\b)|<(?=[@!#])", re.IGNORECASE)
"""Where a text would call people or name a channel, in Discord, Slack, Mattermost and the like."""


def _known(urls: list[SecretStr]) -> list[SecretStr]:
    for number, url in enumerate(urls, 1):
        try:
            Service(url.get_secret_value(), 1)
        except ValueError as error:
            raise ValueError(f"number {number} {error}") from None
    if len({url.get_secret_value() for url in urls}) < len(urls):
        raise ValueError("names one address twice")
    return urls


class AppriseOptions(ConnectorOptions):
    """`urls`: apprise's addresses (`tgram://…`, `discord://…`, `mailto://…`), each told of every story.

    `attach`: poster, where the service takes files, or nothing; the video is linked. `format`: how the body is
    written, text or html; apprise turns it into what each service shows. `title` is a template text, `template` a
    file for the body, relative to the configuration file. `timeout`: seconds for connecting and for each answer.
    """

    urls: Annotated[list[SecretStr], AfterValidator(_known)] = Field(min_length=1, max_length=50)
    attach: Literal["poster", "nothing"] = "poster"
    format: Format = "text"
    title: str | None = None
    template: Path | None = None
    timeout: float = Field(default=30, gt=0, le=300)


class AppriseConnector:
    """Tells each service of each story."""

    Options: ClassVar[type[BaseModel]] = AppriseOptions

    def __init__(self, options: AppriseOptions, tools: ConnectorTools) -> None:
        self._options = options
        self._tools = tools
        self.services = [Service(url.get_secret_value(), options.timeout) for url in options.urls]
        body, place = ("html", Place.HTML) if options.format == "html" else ("txt", Place.PLAIN)
        override = None if options.template is None else tools.base / options.template
        self._title = MessageText("apprise_title.txt.jinja", Place.PLAIN, options.title)
        self._body = MessageText(f"apprise.{body}.jinja", place, override)

    def publish(self, publication: Publication) -> Published:
        """Tells those services that were not told this message yet; each is tried, whatever the others do."""
        reference, message_id = publication.reference, publication.message_id
        told = list(reference.get("told", [])) if reference.get("message_id") == message_id else []

        def tell(service: Service, message: Message) -> None:
            with publication.unbroken():  # there is nothing to look at: who was told must be remembered
                service.tell(message)
                told.append(service.mark)
                publication.save({"message_id": message_id, "told": told})

        poster = publication.files.poster() if self._options.attach == "poster" else None
        opened: AbstractContextManager[Path | None] = nullcontext() if poster is None else poster
        with opened as path:
            message = replace(self._message(publication), poster=path)
            untold = [one for one in self.services if one.mark not in told]
            self._tell(message, untold, publication.check, tell)
        return Published(remark=f"told {self._names()}", reference={"message_id": message_id, "told": told})

    def withdraw(self, withdrawal: Withdrawal) -> Published:  # noqa: ARG002  # the protocol's
        """Few of these services can take a message back, and apprise doesn't ask them to."""
        raise DeliveryFailed(
            f"what was sent to {self._names()} can't be taken back from here: delete it there", permanent=True
        )

    def preview(self, publication: Publication) -> Sequence[PreviewPart]:
        """Title and body as apprise gets them; it then turns them into what each service shows."""
        message = self._message(publication)
        body = "body.html" if message.format == "html" else "body.txt"
        services = "\n".join(one.name for one in self.services)
        return [
            PreviewPart("title.txt", message.title),
            PreviewPart(body, message.body),
            PreviewPart("services.txt", services),
        ]

    def notify(self, notice: Notice) -> Published:
        """Tells all of them."""
        message = Message(
            _harmless(line(notice.title)), _harmless(clean(notice.text)), kind=NotifyType.WARNING
        )
        return self._tell_all(message)

    def check(self) -> str:
        """Few of these services have a login to try: says which are addressed."""
        return f"{self._names()}: readable addresses; whether they take a message is seen by send-test alone"

    def send_test(self) -> Published:
        """Sends a line to each."""
        text = f"A test of the destination {self._tools.destination}. Nothing was published."
        return self._tell_all(Message("Test by Storyrelay", text))

    def _tell_all(self, message: Message) -> Published:
        self._tell(message, self.services, _go_on, Service.tell)
        return Published(remark=f"told {self._names()}")

    def _tell(
        self,
        message: Message,
        services: Sequence[Service],
        check: Callable[[], None],
        tell: Callable[[Service, Message], None],
    ) -> None:
        failures = []
        for number, service in enumerate(services):
            check()
            if number:
                self._tools.pace()
            try:
                tell(service, message)
            except DeliveryFailed as failed:
                failures.append(failed)
        if failures:
            raise _together(failures)

    def _message(self, publication: Publication) -> Message:
        values = values_of(replace(publication, story=_without_mentions(publication.story)))
        return Message(line(self._title.render(values)), self._body.render(values), self._options.format)

    def _names(self) -> str:
        return ", ".join(one.name for one in self.services)


def _together(failures: Sequence[DeliveryFailed]) -> DeliveryFailed:
    """One failure for several: for good, or refused, only where trying again has nothing left to hope for."""
    lasting = [one for one in failures if one.permanent or one.refused]
    return DeliveryFailed(
        "; ".join(str(one) for one in failures),
        permanent=all(one.permanent for one in failures),
        refused=len(lasting) == len(failures) and any(one.refused for one in failures),
    )


def _without_mentions(story: StoryFacts) -> StoryFacts:
    story = readable(story)
    return replace(
        story,
        title=_harmless(story.title),
        idea=_harmless(story.idea),
        scenes=tuple(Scene(_harmless(one.name), _harmless(one.narration)) for one in story.scenes),
    )


def _harmless(text: str) -> str:
    """The text, in which nothing calls anybody: an invisible space parts the sign from the name."""
    return _MENTION.sub(lambda found: found[0] + "\u200b", text)


def _go_on() -> None:
    """Where nothing stops a message."""
