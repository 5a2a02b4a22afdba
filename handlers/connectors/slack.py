"""Publishes to a Slack channel: one message with poster, facts and links, and the video in its thread.

Why the thread: `files.completeUploadExternal` can post a file together with blocks, but it answers no message
id and takes no metadata, so a message made that way can neither be found again nor updated. A message by
`chat.postMessage` has both, and a file can be put into its thread.

Once, as far as Slack lets us look: the message carries our key as metadata, and the channel is read back before
anything is posted. The incoming-webhook form can't look, nor take anything back: at least once.

Bot scopes: chat:write; files:write and files:read to upload and to remove uploads; channels:history
(groups:history for a private channel) to look; channels:read (groups:read) for `check`, and to find the id of a
channel that is given by its name: with its id that call is saved.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import AfterValidator, BaseModel, Field, SecretStr, StringConstraints, model_validator

from handlers.connectors.options import ConnectorOptions, HttpUrl, http_url
from handlers.connectors.question_text import ask_by_notice
from handlers.connectors.slack_api import SlackApi
from handlers.connectors.slack_blocks import (
    NOTICE_EVENT,
    TEST_EVENT,
    SlackMessage,
    fallback,
    notice_blocks,
    slack_image,
    story_message,
    test_blocks,
    web_image,
)
from handlers.connectors.slack_bot import SCOPES, UPLOAD_SCOPES, SlackBot
from handlers.connectors.slack_files import SlackFiles
from handlers.connectors.slack_incoming import IncomingWebhook
from handlers.connectors.slack_notices import tell
from handlers.connectors.slack_progress import ProgressInSlack
from handlers.connectors.slack_question import QuestionInSlack
from handlers.connectors.slack_story import StoryInSlack, Uploads
from handlers.connectors.slack_withdrawal import StoryOutOfSlack
from handlers.message_text import MessageText, Place, values_of
from service.connectors import ConnectorTools
from service.domain.approvals import Question
from service.domain.delivery import DeliveryFailed, Notice, PreviewPart, Publication, Published, Withdrawal
from service.domain.progress import Progress
from service.domain.rates import Rate


def _secret_url(url: SecretStr) -> SecretStr:
    http_url(url.get_secret_value())
    return url


class SlackOptions(ConnectorOptions):
    """Either `token` and `channel` (`#name` or an id), or `webhook_url`.

    `upload`: video (up to `upload_limit` bytes, else the poster), poster, or link. `template`: a file with the
    mrkdwn of the facts and links, relative to the configuration file. `timeout` in seconds for one call.
    `progress`: a story that is being made has a message, which becomes the finished one.
    `signing_secret`: the app's, so that clicks on Approve and Reject, which Slack sends to `/slack/interactions`, are
    known to be Slack's.
    """

    token: SecretStr | None = None
    channel: Annotated[str, StringConstraints(pattern=r"^#?[^\s#<>&]{1,80}$")] | None = None
    webhook_url: Annotated[SecretStr, AfterValidator(_secret_url)] | None = None
    upload: Literal["video", "poster", "link"] = "video"
    upload_limit: int = Field(default=200_000_000, ge=0)
    api_url: HttpUrl = "https://slack.com/api/"
    template: Path | None = None
    timeout: float = Field(default=30, ge=1, le=120)
    progress: bool = False
    signing_secret: SecretStr | None = None

    @model_validator(mode="after")
    def _one_form(self) -> "SlackOptions":
        if (self.token is None) == (self.webhook_url is None):
            raise ValueError("give either token and channel, or webhook_url")
        if (self.token is None) != (self.channel is None):
            raise ValueError("token and channel belong together; a webhook_url has its channel in it")
        if self.webhook_url is not None and self.progress:
            raise ValueError("progress needs a token: a message of an incoming webhook can't be changed")
        if self.webhook_url is not None and self.signing_secret is not None:
            raise ValueError(
                "signing_secret needs a token: an incoming webhook's buttons could not be changed"
            )
        if self.webhook_url is not None and "upload" in self.model_fields_set and self.upload != "link":
            raise ValueError("upload needs a token: an incoming webhook can only link")
        return self


class _Form(Protocol):
    """One of the two ways into a channel."""

    def publish(self, publication: Publication, facts: str) -> Published: ...

    def withdraw(self, withdrawal: Withdrawal) -> Published: ...

    def preview(self, publication: Publication, facts: str) -> SlackMessage: ...

    def tell(self, notice: Notice, message: SlackMessage) -> Published: ...

    def check(self) -> str: ...

    def try_out(self, message: SlackMessage) -> Published: ...


class SlackConnector:
    """Posts each story to one channel."""

    Options: ClassVar[type[BaseModel]] = SlackOptions
    default_rate: ClassVar[Rate] = Rate(1, 1.0)
    """Slack's limit for messages to one channel (docs.slack.dev/apis/web-api/rate-limits)."""

    def __init__(self, options: SlackOptions, tools: ConnectorTools) -> None:
        override = None if options.template is None else tools.base / options.template
        self._facts = MessageText("slack.mrkdwn.jinja", Place.MRKDWN, override)
        self._destination = tools.destination
        self._form = _form(options, tools)
        self._now = tools.now
        self._has_buttons = options.signing_secret is not None

    def publish(self, publication: Publication) -> Published:
        """Posts the story, or updates the message of an earlier revision."""
        return self._form.publish(publication, self._facts.render(values_of(publication)))

    def withdraw(self, withdrawal: Withdrawal) -> Published:
        """Removes the story's messages, its files, and what we said in its threads; replies of people stay."""
        return self._form.withdraw(withdrawal)

    def preview(self, publication: Publication) -> Sequence[PreviewPart]:
        """The message as JSON, which Slack's Block Kit Builder shows, and the text of its notification."""
        message = self._form.preview(publication, self._facts.render(values_of(publication)))
        shown = json.dumps(vars(message), ensure_ascii=False, indent=2)
        return [PreviewPart("message.json", shown), PreviewPart("notification.txt", message.text)]

    def show_progress(self, progress: Progress) -> Published:
        """Posts that the story is being made, changes that as it gets on, and says a few lines in its thread."""
        if not isinstance(self._form, _BotForm):
            raise DeliveryFailed("an incoming webhook shows no progress", permanent=True)
        return ProgressInSlack(progress, self._form.bot, self._now().timestamp()).show()

    def ask(self, question: Question) -> Published:
        """Asks with buttons where clicks come back to us (`signing_secret`), else with a link to the page."""
        if isinstance(self._form, _BotForm):
            return QuestionInSlack(question, self._form.bot, self._has_buttons).ask()
        return ask_by_notice(question, self.notify)

    def notify(self, notice: Notice) -> Published:
        """Posts the notice, with a token into the thread of its story."""
        metadata = {"event_type": NOTICE_EVENT, "event_payload": {"id": notice.id, "kind": notice.kind}}
        message = SlackMessage(fallback(notice.title), notice_blocks(notice), metadata)
        return self._form.tell(notice, message)

    def check(self) -> str:
        """Logs in, and looks whether scopes and membership suffice."""
        return self._form.check()

    def send_test(self) -> Published:
        """Posts a message that says that it is a test, and removes it where a token permits that."""
        metadata = {"event_type": TEST_EVENT, "event_payload": {}}
        return self._form.try_out(SlackMessage("Test", test_blocks(self._destination), metadata))


def _form(options: SlackOptions, tools: ConnectorTools) -> _Form:
    if options.webhook_url is not None:
        return IncomingWebhook(options.webhook_url, options.timeout, tools)
    if options.token is None or options.channel is None:
        raise TypeError("the options were not validated")
    api = SlackApi(options.token, options.api_url, options.timeout, tools)
    uploads = Uploads(options.upload != "link", options.upload == "video", options.upload_limit)
    return _BotForm(SlackBot(api, options.channel), SlackFiles(api), uploads)


@dataclass(frozen=True)
class _BotForm:
    """The form with a token."""

    bot: SlackBot
    files: SlackFiles
    uploads: Uploads

    def publish(self, publication: Publication, facts: str) -> Published:
        return StoryInSlack(publication, self.bot, self.files, self.uploads, facts).publish()

    def withdraw(self, withdrawal: Withdrawal) -> Published:
        return StoryOutOfSlack(withdrawal, self.bot, self.files).withdraw()

    def preview(self, publication: Publication, facts: str) -> SlackMessage:
        image = web_image(publication.links.poster, publication.story)
        if self.uploads.poster and publication.links.poster is not None:
            image = slack_image("(the uploaded poster)", publication.story)
        return story_message(publication, facts, image)

    def tell(self, notice: Notice, message: SlackMessage) -> Published:
        return tell(self.bot, notice, message)

    def check(self) -> str:
        return self.bot.check(SCOPES | (UPLOAD_SCOPES if self.uploads.poster else {}))

    def try_out(self, message: SlackMessage) -> Published:
        self.bot.turn()
        self.bot.delete(self.bot.post(message))
        return Published(remark="posted a test message and removed it")
