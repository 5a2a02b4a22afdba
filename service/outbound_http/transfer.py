"""Carries out one hop of a request on a curl handle and says what went wrong."""

import os
import time
from contextlib import ExitStack
from typing import NoReturn

import pycurl

from service.outbound_http.answer_head import Head
from service.outbound_http.body_source import BodySource, open_body
from service.outbound_http.call import Call, Enough, Receiver, Terms
from service.outbound_http.callbacks import Callbacks
from service.outbound_http.errors import AddressRefused, BadUrl, Incomplete, Interrupted, NoAnswer, NotSent
from service.outbound_http.plain_text import plain
from service.outbound_http.within_curl import marked

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110 §9.2.2
_SUPPRESS_CONNECT_HEADERS = 265  # CURLOPT_SUPPRESS_CONNECT_HEADERS, for which pycurl has no name
_UPLOAD_BUFFER = 512 * 2**10
_BAD_URL = {pycurl.E_UNSUPPORTED_PROTOCOL, pycurl.E_URL_MALFORMAT}
_STOPPED = {pycurl.E_ABORTED_BY_CALLBACK, pycurl.E_WRITE_ERROR, pycurl.E_READ_ERROR}


def transfer(curl: pycurl.Curl, call: Call, terms: Terms, receiver: Receiver) -> Head:
    """Returns the answer's head; its body went to the receiver.

    Raises OutboundError, what the receiver or `call.watch` raises, and OSError for an unreadable body file.
    The handle keeps its connection, nothing else.
    """
    callbacks = Callbacks(call, terms, receiver)
    callbacks.look()
    try:
        _perform(curl, call, terms, callbacks)
    finally:
        curl.reset()
    if callbacks.head is None:
        raise NoAnswer(f"{call.url.place} ended the connection without an answer")
    return callbacks.head


def _perform(curl: pycurl.Curl, call: Call, terms: Terms, callbacks: Callbacks) -> None:
    with ExitStack() as stack:
        _set_call(curl, call)
        _set_terms(curl, terms)
        if call.ca_file is not None:
            curl.setopt(pycurl.CAINFO, call.ca_file)
        callbacks.install(curl)
        if call.body is not None:
            body = stack.enter_context(open_body(call.body))
            callbacks.install_body(curl, body)
            _set_body(curl, body)
        if terms.stop is not None:
            stack.enter_context(marked())
        try:
            curl.perform()
        except pycurl.error as error:
            _explain(call, callbacks, *error.args)


def _set_call(curl: pycurl.Curl, call: Call) -> None:
    curl.setopt(pycurl.URL, call.url.text)
    curl.setopt(pycurl.CUSTOMREQUEST, call.method)
    if call.method == "HEAD":
        curl.setopt(pycurl.NOBODY, 1)
    curl.setopt(pycurl.HTTPHEADER, [*call.headers, b"Expect:"])
    if call.accept_encoding:
        curl.setopt(pycurl.ACCEPT_ENCODING, "")
    curl.setopt(pycurl.BUFFERSIZE, call.buffer)
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, int(call.connect_timeout * 1000)))
    if call.deadline is not None:
        curl.setopt(pycurl.TIMEOUT_MS, max(1, int((call.deadline - time.monotonic()) * 1000)))
    if call.method not in _REPEATABLE:
        # On a kept connection that dies, curl would send the request again by itself: never double.
        curl.setopt(pycurl.FRESH_CONNECT, 1)


def _set_terms(curl: pycurl.Curl, terms: Terms) -> None:
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    # In HTTP/1.1 one connection carries one request: nothing is resent, no answer belongs to another.
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    curl.setopt(_SUPPRESS_CONNECT_HEADERS, 1)
    curl.setopt(pycurl.USERAGENT, terms.user_agent)
    curl.setopt(pycurl.CAINFO, terms.ca_file)
    curl.setopt(pycurl.RESOLVE, list(terms.resolve))
    if terms.guard:
        curl.setopt(pycurl.PROXY, "")
    else:
        curl.setopt(pycurl.NOPROXY, _no_proxy())


def _no_proxy() -> str:
    """What the environment excepts from its proxy, and this machine itself, which no proxy can reach."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return ",".join(filter(None, [named, "localhost", "127.0.0.0/8", "::1"]))


def _set_body(curl: pycurl.Curl, body: BodySource) -> None:
    curl.setopt(pycurl.UPLOAD, 1)
    curl.setopt(pycurl.INFILESIZE_LARGE, body.size)
    curl.setopt(pycurl.UPLOAD_BUFFERSIZE, _UPLOAD_BUFFER)


def _explain(call: Call, callbacks: Callbacks, code: int, text: str) -> None:
    """Raises what ended a transfer, unless the receiver had enough."""
    if isinstance(callbacks.failure, Enough):
        return
    if callbacks.failure:
        raise callbacks.failure
    place = call.url.place
    if callbacks.refused and not callbacks.opened:
        raise AddressRefused(
            f"{place} leads to {', '.join(callbacks.refused[:3])}, which stories and webhooks may not lead to; "
            "if it is meant, put its network under [outbound] allow"
        )
    _explain_code(place, callbacks.sent, code, plain(text, 200))


def _explain_code(place: str, sent: bool, code: int, text: str) -> NoReturn:
    if code in _BAD_URL and not sent:
        raise BadUrl(f"{place} can't be called: {text}")
    if code in _STOPPED:
        # A signal handler raised before the callback's own `try` was reached; pycurl has printed what.
        raise Interrupted(f"the call to {place} was ended from outside: {text}", sent=sent)
    if not sent:
        raise NotSent(f"{place} can't be reached: {text}")
    if code == pycurl.E_PARTIAL_FILE:
        raise Incomplete(f"{place} ended its answer too early: {text}")
    raise NoAnswer(f"{place} gave no answer: {text}")
