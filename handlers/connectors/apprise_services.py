"""One service behind an apprise URL: a chat, a push service, a mailbox …; what apprise says of it stays here.

Apprise's URLs are secrets as a whole: tokens stand in their paths, in their queries, even where others have a host,
and apprise's own obfuscation leaves headers and some tokens readable. So of a service only its kind is ever named.
"""

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import sentry_sdk
from apprise import (
    Apprise,
    AppriseAsset,
    AppriseAttachment,
    AppriseResult,
    AppriseResultStatus,
    AttachBase,
    NotifyBase,
    NotifyFormat,
    NotifyType,
    OverflowMode,
)
from sentry_sdk.integrations.logging import ignore_logger

from handlers.connectors.answers import answered
from service.domain.delivery import DeliveryFailed

Format = Literal["text", "html"]

_STATUS = re.compile(r"\berror=(\d{3})\b")
"""How apprise's plugins name the HTTP status that they did not like."""

_TALKERS = ("apprise", "urllib3")
"""Loggers whose records quote addresses, urllib3's with the whole path."""


def _hush(name: str) -> None:
    logger = logging.getLogger(name)
    logger.propagate = False
    logger.addHandler(logging.NullHandler())  # without one, warnings would go to stderr
    ignore_logger(f"{name}*")


for _talker in _TALKERS:
    _hush(_talker)


@dataclass(frozen=True)
class Message:
    """What is told: `title` is plain text, `body` of the format; `kind` is apprise's: info, success, warning."""

    title: str
    body: str
    format: Format = "text"
    kind: NotifyType = NotifyType.INFO
    poster: Path | None = None


class Service:
    """One service. `name` is its kind ("Telegram"), `mark` tells it from others and gives no secret away."""

    def __init__(self, url: str, timeout: float) -> None:
        """Reaches nobody. `timeout`: seconds for connecting and for each answer, if the URL says nothing of it.

        Raises ValueError, which never quotes the URL, where apprise can't read it.
        """
        # no limit of apprise's own: for it, a thread would do the work and be left behind at the limit
        asset = AppriseAsset(app_id="Storyrelay", async_mode=False, service_timeout=0)
        plugin = Apprise.instantiate(url, asset=asset)
        if plugin is None:
            raise ValueError(f"is no address that apprise knows ({_scheme(url)})")
        self._plugin: NotifyBase = plugin
        if "overflow=" not in url:  # what is too long would be refused by most
            plugin.overflow_mode = OverflowMode.SPLIT
        if "cto=" not in url:
            plugin.socket_connect_timeout = timeout
        if "rto=" not in url:
            plugin.socket_read_timeout = timeout
        self._apprise = Apprise(asset=asset)
        self._apprise.add(plugin)
        self.name = str(plugin.service_name)
        self.mark = hashlib.sha256(url.encode()).hexdigest()[:8]  # too short to try out passwords against

    @property
    def takes_files(self) -> bool:
        """Whether a poster can go with a message."""
        return bool(self._plugin.attachment_support)

    def tell(self, message: Message) -> None:
        """Sends it. Raises DeliveryFailed."""
        # what is remembered within for a later report to Sentry, such as each request's path, ends with it
        with sentry_sdk.isolation_scope():
            result = self._apprise.notify(
                body=message.body,
                title=message.title,
                notify_type=message.kind,
                body_format=NotifyFormat(message.format),
                attach=self._attachment(message.poster),
            )
            if result.status is not AppriseResultStatus.SUCCESS:
                raise self._failure(result)

    def _attachment(self, poster: Path | None) -> Sequence[AttachBase] | None:
        if poster is None or not self.takes_files:
            return None
        # by its whole address: apprise would read a plain path's "?" as the start of options
        found = AppriseAttachment.instantiate(f"file://{quote(str(poster.absolute()))}?name=poster.jpg")
        return None if found is None else [found]

    def _failure(self, result: AppriseResult) -> DeliveryFailed:
        found = [_STATUS.search(entry.message) for entry in result.logs()]
        status = next((int(match[1]) for match in found if match), None)
        if status is None or not 400 <= status < 600:
            return DeliveryFailed(f"{self.name} did not take it, or could not be reached")
        return answered(status, f"{self.name} answered {status}")


def _scheme(url: str) -> str:
    """`slack://…`; nothing of what has no scheme, for that may be a token."""
    found = re.match(r"[A-Za-z][A-Za-z0-9+.-]{0,20}(?=://)", url)
    return f"{found[0]}://…" if found else "it has no ://"
