"""Slack's incoming webhooks: one message, no way to look, update or remove (docs.slack.dev/messaging)."""

import json

from pydantic import SecretStr

from handlers.connectors.answers import answered, excerpt, unsent
from handlers.connectors.slack_blocks import SlackMessage, story_message, web_image
from service.connectors import ConnectorTools
from service.domain.delivery import (
    DeliveryFailed,
    Notice,
    Publication,
    Published,
    Reference,
    Withdrawal,
)
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
        """Posts the story with links to its video, unless an earlier attempt could still save that it did."""
        posted = {"message_id": publication.message_id, "posted": True}
        if publication.reference == posted:
            return Published(remark="was posted by an earlier attempt", reference=posted)
        image = web_image(publication.links.poster, publication.story)
        publication.check()
        try:
            self._post_once(publication, story_message(publication, facts, image), posted)
        except DeliveryFailed as error:
            if image is None or not error.permanent:
                raise
        else:
            return Published(reference=posted)
        self._tools.pace()
        self._post_once(publication, story_message(publication, facts, None), posted)
        return Published(remark="without the poster, which Slack could not fetch", reference=posted)

    def withdraw(self, _withdrawal: Withdrawal) -> Published:
        """Not to be done."""
        raise DeliveryFailed(
            "an incoming webhook can't remove messages: remove it by hand in Slack, or use a token and channel",
            permanent=True,
        )

    def preview(self, publication: Publication, facts: str) -> SlackMessage:
        """What `publish` would post."""
        return story_message(publication, facts, web_image(publication.links.poster, publication.story))

    def tell(self, _notice: Notice, message: SlackMessage) -> Published:
        """Posts the notice; a second attempt after an unclear answer posts it again."""
        return self._post(message)

    def try_out(self, message: SlackMessage) -> Published:
        """Posts a message, which stays."""
        self._post(message)
        return Published(remark="posted a test message, which an incoming webhook can't remove")

    def check(self) -> str:
        """Posts nothing: a webhook that exists answers `no_text` to an empty message."""
        answer = self._send({})
        if answer.body.strip() not in (b"no_text", b"invalid_payload"):
            raise self._failure(answer)
        return "the incoming webhook exists"

    def _post_once(self, publication: Publication, message: SlackMessage, posted: Reference) -> None:
        with publication.unbroken():  # there is nothing to look at: what was posted must be remembered
            self._post(message)
            publication.save(posted)

    def _post(self, message: SlackMessage) -> Published:
        answer = self._send({**vars(message), "unfurl_links": False, "unfurl_media": False})
        if answer.status != 200:
            raise self._failure(answer)
        return Published()

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
