"""Slack's incoming webhooks: one message, no way to look, update or remove (docs.slack.dev/messaging)."""

import json

from pydantic import SecretStr

from handlers.connectors.answers import answered, excerpt, unsent
from handlers.connectors.slack_blocks import SlackMessage, fallback, story_blocks, story_metadata, web_image
from handlers.message_text import readable
from service.connectors import ConnectorTools
from service.domain.delivery import DeliveryFailed, Publication, Published
from service.outbound_http import OutboundError, Request, Response

_GONE = frozenset(
    {"no_service", "no_service_id", "no_team", "team_disabled", "invalid_token", "action_prohibited"}
)


class IncomingWebhook:
    """One incoming webhook; its URL is a secret. `timeout` in seconds."""

    def __init__(self, url: SecretStr, timeout: float, tools: ConnectorTools) -> None:
        self._url = url
        self._timeout = timeout
        self._tools = tools

    def publish(self, publication: Publication, facts: str) -> Published:
        """Posts the story with links to its video."""
        story = publication.story
        image = web_image(publication.links.poster, story)
        text, metadata = fallback(readable(story).name), story_metadata(publication)
        publication.check()
        try:
            return self.tell(SlackMessage(text, story_blocks(story, facts, image), metadata))
        except DeliveryFailed as error:
            if image is None or not error.permanent:
                raise
        self.tell(SlackMessage(text, story_blocks(story, facts, None), metadata))
        return Published(remark="without the poster, which Slack could not fetch")

    def tell(self, message: SlackMessage) -> Published:
        """Posts a message."""
        answer = self._send({**vars(message), "unfurl_links": False, "unfurl_media": False})
        if answer.status != 200:
            raise self._failure(answer)
        return Published()

    def try_out(self, message: SlackMessage) -> Published:
        """Posts a message, which stays."""
        self.tell(message)
        return Published(remark="posted a test message, which an incoming webhook can't remove")

    def check(self) -> str:
        """Posts nothing: a webhook that exists answers `no_text` to an empty message."""
        answer = self._send({})
        if answer.body.strip() not in (b"no_text", b"invalid_payload"):
            raise self._failure(answer)
        return "the incoming webhook exists"

    def _send(self, message: dict[str, object]) -> Response:
        request = Request(
            "POST",
            self._url.get_secret_value(),
            headers={"Content-Type": "application/json"},
            body=json.dumps(message).encode(),
            timeout=self._timeout,
        )
        try:
            return self._tools.http.send(request)
        except OutboundError as error:
            raise unsent(error, "Slack's incoming webhook") from error

    def _failure(self, answer: Response) -> DeliveryFailed:
        said = excerpt(answer.body)
        message = f"Slack's incoming webhook answered {answer.status}: {said}"
        if said in _GONE:
            return DeliveryFailed(f"{message}; make a new one and set webhook_url", refused=True)
        return answered(answer.status, message, answer.retry_after(self._tools.now()))
