"""Webhooks as the provider sends them: POST, JSON, ten seconds to answer 2xx, else again after a pause."""

import functools
import http.client
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from service.emulator.agenda import Agenda
from service.emulator.options import EmulatorOptions


@dataclass(frozen=True)
class Letter:
    """One webhook: what it says, and where to."""

    url: str
    status: str
    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True)
class WebhookDelivery:
    """One attempt to deliver a webhook; `answer` is the HTTP status, None where none came, then `error` says why."""

    at: datetime
    url: str
    status: str
    body: str
    attempt: int
    seconds: float
    answer: int | None
    error: str | None

    @property
    def taken(self) -> bool:
        """Whether the receiver answered 2xx."""
        return self.answer is not None and 200 <= self.answer < 300


Recorder = Callable[[WebhookDelivery], None]


class Webhooks:
    """Sends letters, each batch in its own thread, so that a slow receiver delays nobody else's."""

    def __init__(self, agenda: Agenda, options: EmulatorOptions) -> None:
        self._agenda = agenda
        self._options = options

    def send(self, letters: Sequence[Letter], record: Recorder) -> threading.Event:
        """Posts the letters one after the other; the event is set when the last was answered or given up on."""
        done = threading.Event()
        self._start(lambda: self._post_all(letters, record, done))
        return done

    def _post_all(self, letters: Sequence[Letter], record: Recorder, done: threading.Event) -> None:
        for letter in letters:
            self._post(letter, record, 1)
        done.set()

    def _post(self, letter: Letter, record: Recorder, attempt: int) -> None:
        delivery = post(letter, attempt, self._options.webhook_timeout)
        record(delivery)
        if not delivery.taken and attempt <= len(self._options.webhook_pauses):
            again = functools.partial(self._post, letter, record, attempt + 1)
            self._agenda.after(self._options.webhook_pauses[attempt - 1], lambda: self._start(again))

    def _start(self, action: Callable[[], None]) -> None:
        threading.Thread(target=action, name="emulator-webhook", daemon=True).start()


def post(letter: Letter, attempt: int, timeout: float) -> WebhookDelivery:
    """Posts a letter once; redirects are not followed, and count as not taken."""
    at, began = datetime.now(UTC), time.monotonic()
    answer, error = _answer(letter, timeout)
    took, body = time.monotonic() - began, letter.body.decode()
    return WebhookDelivery(at, letter.url, letter.status, body, attempt, took, answer, error)


def _answer(letter: Letter, timeout: float) -> tuple[int | None, str | None]:
    target = urlsplit(letter.url)
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    connection = kind(target.hostname or "", target.port, timeout=timeout)
    headers = {"Content-Type": letter.content_type, "User-Agent": "story-api-emulator"}
    try:
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        connection.request("POST", path, letter.body, headers)
        return connection.getresponse().status, None
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        return None, f"{type(error).__name__}: {error}"[:200]
    finally:
        connection.close()


def unusable(url: str) -> str | None:
    """Says why a webhook URL cannot be used; None where it can."""
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > 2000:
        return "it has characters that a URL may not have, or too many"
    try:
        target = urlsplit(url)
        port = target.port
    except ValueError as error:
        return str(error)
    if target.scheme not in ("http", "https") or not target.hostname or port == 0:
        return "it is no http or https URL"
    return None
