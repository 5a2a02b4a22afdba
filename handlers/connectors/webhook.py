"""Publishes to any program: a JSON body, signed as Standard Webhooks 1.0.0 says.

At least once: the receiver tells repeats by `webhook-id`, which is equal for every attempt at a message.
"""

import base64
import binascii
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr
from standardwebhooks import Webhook

from handlers.connectors.answers import answered, excerpt, unsent
from handlers.connectors.options import ConnectorOptions, HttpUrl
from handlers.message_text import clean
from service.connectors import ConnectorTools
from service.domain.delivery import DeliveryFailed, Notice, PreviewPart, Publication, Published, Withdrawal
from service.outbound_http import OutboundError, Request, Response

_PREFIX = "whsec_"
_WEB = ("http://", "https://")
_OURS = frozenset(
    {"content-type", "content-length", "host", "webhook-id", "webhook-timestamp", "webhook-signature"}
)


def _signing_secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX) + "==", validate=False)
    except binascii.Error:
        key = b""
    if not text.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("must be whsec_ and the base64 of 24 to 64 random bytes")
    return secret


def _own_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    taken = sorted(name for name in headers if name.lower() in _OURS)
    if taken:
        raise ValueError(f"{', '.join(taken)}: set by the connector itself")
    return headers


class WebhookOptions(ConnectorOptions):
    """`secret` signs; `headers` are sent along (for example Authorization); `timeout` in seconds."""

    url: HttpUrl
    secret: Annotated[SecretStr, AfterValidator(_signing_secret)]
    headers: Annotated[dict[str, SecretStr], AfterValidator(_own_headers)] = Field(default_factory=dict)
    timeout: float = Field(default=15, gt=0, le=120)


class WebhookConnector:
    """POSTs each story to one URL."""

    Options: ClassVar[type[BaseModel]] = WebhookOptions

    def __init__(self, options: WebhookOptions, tools: ConnectorTools) -> None:
        self._options = options
        self._tools = tools
        self._webhook = Webhook(options.secret.get_secret_value())
        self._host = urlsplit(options.url).hostname

    def publish(self, publication: Publication) -> Published:
        """POSTs `story.published`. A repeat that is wanted has another id."""
        publication.check()
        return self._post(
            "story.published", publication.message_id, publication.published_at, story_data(publication)
        )

    def withdraw(self, withdrawal: Withdrawal) -> Published:
        """POSTs `story.withdrawn`; the receiver takes back what it made of the story of that id."""
        withdrawal.check()
        story = {
            "id": withdrawal.story.id,
            "title": clean(withdrawal.story.title),
            "revision": withdrawal.story.revision,
        }
        data = {"story": story, "destination": withdrawal.destination}
        return self._post("story.withdrawn", withdrawal.message_id, withdrawal.at, data)

    def preview(self, publication: Publication) -> Sequence[PreviewPart]:
        """The body of `story.published`, set on lines of its own."""
        body = _body("story.published", publication.published_at, story_data(publication))
        return [PreviewPart("body.json", json.dumps(body, indent=2, ensure_ascii=False))]

    def notify(self, notice: Notice) -> Published:
        """POSTs `storyrelay.notice`."""
        data = {"kind": notice.kind, "title": notice.title, "text": notice.text, "story_id": notice.story_id}
        return self._post("storyrelay.notice", notice.id, notice.at, data)

    def check(self) -> str:
        """Any answer to a HEAD shows that something listens there; whether it takes the secret is not seen."""
        answer = self._send(Request("HEAD", self._options.url, timeout=self._options.timeout))
        return f"{self._host} is reachable (HEAD answered {answer.status})"

    def send_test(self) -> Published:
        """POSTs `storyrelay.test`."""
        data = {
            "destination": self._tools.destination,
            "text": "A test by Storyrelay. Nothing was published.",
        }
        return self._post("storyrelay.test", f"test-{uuid.uuid4()}", self._tools.now(), data)

    def _post(self, kind: str, message_id: str, at: datetime, data: Mapping[str, Any]) -> Published:
        body = json.dumps(_body(kind, at, data))
        request = Request(
            "POST",
            self._options.url,
            headers=self._headers(message_id, body),
            body=body.encode(),
            timeout=self._options.timeout,
        )
        answer = self._send(request)
        if 200 <= answer.status < 300:
            return Published(remark=f"{self._host} answered {answer.status}")
        raise self._failure(answer)

    def _headers(self, message_id: str, body: str) -> dict[str, str]:
        now = self._tools.now()
        return {
            **{name: value.get_secret_value() for name, value in self._options.headers.items()},
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(message_id, now, body),
        }

    def _send(self, request: Request) -> Response:
        try:
            return self._tools.http.send(request)
        except OutboundError as error:
            raise unsent(error, f"{request.method} to {self._host}") from error

    def _failure(self, answer: Response) -> DeliveryFailed:
        said = f"{self._host} answered {answer.status}: {excerpt(answer.body)}".rstrip(": ")
        if 300 <= answer.status < 400:
            return DeliveryFailed(
                f"{said}; redirects are not followed: put the final address into the url option"
            )
        if answer.status == 410:
            said += "; 410 means that it wants no more: take the destination off the routes"
        return answered(answer.status, said, answer.retry_after(self._tools.now()))


def _body(kind: str, at: datetime, data: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": kind, "timestamp": at.isoformat(), "data": data}


def story_data(publication: Publication) -> dict[str, Any]:
    """The `data` of `story.published`: the story, its video, and links that are good for 30 days.

    Texts lose control characters and halves of surrogate pairs: JSON can write them, but many a database refuses
    the whole message for one of them.
    """
    story, links = publication.story, publication.links
    return {
        "story": {
            "id": story.id,
            "title": clean(story.title),
            "idea": clean(story.idea),
            "aspect_ratio": story.aspect_ratio,
            "language": story.language,
            "used_credits": story.used_credits,
            "created_at": story.created_at and story.created_at.isoformat(),
            "revision": story.revision,
            "scenes": [
                {"name": clean(scene.name), "narration": clean(scene.narration)} for scene in story.scenes
            ],
        },
        "video": {"url": links.video, **asdict(publication.video)},
        "poster_url": links.poster,
        "captions_url": links.captions,
        "route": publication.route,
        "destination": publication.destination,
        # an archive's is a path of this machine, which is nobody's business
        "elsewhere": {name: url for name, url in publication.elsewhere.items() if url.startswith(_WEB)},
    }
