"""The client that everything in the project calls other servers with."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from types import TracebackType
from typing import Self

import certifi

from service import tracing
from service.outbound_http.address_guard import AddressGuard
from service.outbound_http.answer_head import Head
from service.outbound_http.body_source import body_size
from service.outbound_http.call import Call, Terms
from service.outbound_http.download import Downloaded, DownloadLimits, download
from service.outbound_http.errors import TooLarge
from service.outbound_http.exchange import Exchange
from service.outbound_http.headers import header_lines
from service.outbound_http.messages import Request, Response
from service.outbound_http.part_file import PartFile
from service.outbound_http.url import Url

USER_AGENT = f"storyrelay/{version('storyrelay')}"
_BUFFER = 64 * 2**10

Progress = Callable[[int, int], None]


class HttpClient:
    """Calls other servers; keeps connections; may be shared by threads and used after a fork.

    With `guard` the URLs are untrusted: only public addresses, no proxy, no user or password in the URL.
    Without it they are the operator's own, and the environment's proxy settings hold.
    `stop` is asked several times a second during a call; a reason ends the call with Interrupted.
    `sent` is told as often how many bytes of how many have left, for each request that carries a file.
    `resolve` fixes addresses of names as HOST:PORT:ADDRESS (CURLOPT_RESOLVE).
    Certificates are checked against SSL_CERT_FILE or CURL_CA_BUNDLE, else against certifi's.
    """

    def __init__(
        self,
        *,
        guard: AddressGuard | None = None,
        stop: Callable[[], str | None] | None = None,
        sent: Progress | None = None,
        user_agent: str = USER_AGENT,
        resolve: Sequence[str] = (),
    ) -> None:
        self._sent = sent
        self._exchange = Exchange(Terms(guard, stop, user_agent, _ca_file(), tuple(resolve)))

    def send(self, request: Request) -> Response:
        """Returns the answer, whatever its status. Raises OutboundError, OSError for an unreadable body file.

        A request that is not idempotent (RFC 9110 §9.2.2) leaves on a new connection and is never resent.
        """
        url = self._exchange.url(request.url)
        answer = _Answer(request.max_answer_bytes, url)
        call = _call(request, url, self._watch(request))
        with _spanned(request.method, url) as span:
            head, last = self._exchange.follow(call, answer, request.redirects)
            span.set_attribute("http.response.status_code", head.status)
        return Response(head.status, head.headers, bytes(answer.body), last.text)

    def download(
        self,
        url: str,
        part: PartFile,
        limits: DownloadLimits,
        headers: Mapping[str, str] | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Downloaded:
        """Gets a file into `part`, going on where an earlier try ended; see `download.download`."""
        with tracing.span("GET (download)", tracing.SpanKind.CLIENT, **{"http.request.method": "GET"}):
            return download(self._exchange, url, part, limits, headers or {}, progress)

    def _watch(self, request: Request) -> Progress:
        """Tells the client's and the request's own of the body's bytes."""
        body = request.body
        told = [request.progress, None if isinstance(body, bytes) else self._sent]
        wanted = [one for one in told if one is not None]
        if body is None or not wanted:
            return lambda _got, _put: None
        total = body_size(body)

        def watch(_got: int, put: int) -> None:
            for one in wanted:
                one(put, total)

        return watch

    def close(self) -> None:
        """Closes the connections that are kept."""
        self._exchange.handles.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _spanned(method: str, url: Url) -> AbstractContextManager[tracing.Span]:
    """A span around the call; its path and query may hold secrets, so only the host is named."""
    about = {"http.request.method": method, "server.address": url.host}
    return tracing.span(method, tracing.SpanKind.CLIENT, **about)


class _Answer:
    """Takes an answer's body into memory, up to a limit, counted after decoding."""

    def __init__(self, limit: int, url: Url) -> None:
        self.body = bytearray()
        self._limit = limit
        self._url = url

    def start(self, _head: Head, /) -> None:
        self.body.clear()

    def write(self, chunk: memoryview) -> None:
        if len(self.body) + len(chunk) > self._limit:
            raise TooLarge(f"{self._url.place} answered with more than {self._limit} bytes")
        self.body += chunk


def _call(request: Request, url: Url, watch: Progress) -> Call:
    body = b"" if request.body is None and request.method in ("POST", "PUT", "PATCH") else request.body
    return Call(
        method=request.method,
        url=url,
        headers=tuple(header_lines(request.headers)),
        body=body,
        deadline=time.monotonic() + request.timeout,
        connect_timeout=request.connect_timeout,
        watch=watch,
        accept_encoding=True,
        buffer=_BUFFER,
        follow=request.redirects > 0,
        ca_file=None if request.ca_file is None else str(request.ca_file),
    )


def _ca_file() -> str:
    return os.environ.get("SSL_CERT_FILE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
