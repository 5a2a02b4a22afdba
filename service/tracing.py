"""Follows one request through the work that comes of it: its id in every log, and OpenTelemetry's spans.

The ledger keeps both beside each step, as one text: the request's id, and the `traceparent` (W3C Trace Context)
of the span that made the step. Spans cost nothing where no collector is set.
"""

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = [
    "Span",
    "SpanKind",
    "configure_tracing",
    "current",
    "flush",
    "following",
    "name_request",
    "note",
    "request_id",
    "span",
    "stop_tracing",
]

EXPORT_SECONDS = 2.0
"""How long the end of a job waits for a collector that does not answer."""

_SANE_ID = re.compile(r"[A-Za-z0-9._=+-]{1,64}")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROPAGATOR = TraceContextTextMapPropagator()

_request: ContextVar[str] = ContextVar("storyrelay_request", default="")


class _Tracing:
    """The process's tracer, None while tracing is off."""

    provider: TracerProvider | None = None
    tracer: trace.Tracer | None = None


def configure_tracing(process: str, release: str, *, exporter: SpanExporter | None = None) -> bool:
    """Has spans sent where the usual OTEL_… variables say, with this process's name; False where none are set.

    Works on across forks. `exporter` is for tests.
    """
    if exporter is None and not _is_wanted(os.environ):
        return False
    named = "OTEL_SERVICE_NAME" in os.environ or f"{SERVICE_NAME}=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    own = {"service.version": release, "storyrelay.process": process}
    resource = Resource.create(own if named else {**own, SERVICE_NAME: "storyrelay"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    seconds = float(os.environ.get("OTEL_EXPORTER_OTLP_TIMEOUT", EXPORT_SECONDS))
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter(timeout=seconds)))
    _Tracing.provider = provider
    _Tracing.tracer = provider.get_tracer("storyrelay")
    return True


def stop_tracing() -> None:
    """Sends what is left, and has no more spans made."""
    if _Tracing.provider is not None:
        _Tracing.provider.shutdown()
    _Tracing.provider = _Tracing.tracer = None


def flush() -> None:
    """Sends the spans of this process that are still unsent: a work horse leaves without a word."""
    if _Tracing.provider is not None:
        _Tracing.provider.force_flush(round(EXPORT_SECONDS * 1000))


def request_id(given: str | None) -> str:
    """The id that came with a request where it is sane, else a fresh one of 64 random bits."""
    return given if given and _SANE_ID.fullmatch(given) else secrets.token_hex(8)


def name_request(name: str) -> None:
    """Has what this thread does from now on follow from the request of that id."""
    _request.set(name)


def current() -> str | None:
    """What a step keeps of the request that it follows from, and of where it is in its trace; None for neither."""
    carrier: dict[str, str] = {}
    if _Tracing.tracer is not None:
        _PROPAGATOR.inject(carrier)
    name, parent = _request.get(), carrier.get("traceparent", "")
    return f"{name or '-'} {parent}".rstrip() if name or parent else None


@contextmanager
def following(
    kept: str | None, name: str, kind: SpanKind, attributes: Mapping[str, str | int]
) -> Iterator[str]:
    """Within the block, work follows from what `current` gave as `kept`, in a span of its own.

    Gives the request's id, '' where it is not known.
    """
    request, _, parent = (kept or "").partition(" ")
    request = "" if request == "-" else request
    token = _request.set(request)
    try:
        with _span(name, kind, attributes, _PROPAGATOR.extract({"traceparent": parent}, Context())):
            yield request
    finally:
        _request.reset(token)


@contextmanager
def span(name: str, kind: SpanKind = SpanKind.INTERNAL, **attributes: str | int) -> Iterator[Span]:
    """A span around the block, below the one that is open; one that records nothing while tracing is off."""
    with _span(name, kind, attributes, None) as made:
        yield made


@contextmanager
def _span(
    name: str, kind: SpanKind, attributes: Mapping[str, str | int], parent: Context | None
) -> Iterator[Span]:
    if _Tracing.tracer is None:
        yield trace.INVALID_SPAN
        return
    # an exception's text may hold what people wrote: only its class is told
    with _Tracing.tracer.start_as_current_span(
        name, parent, kind, dict(attributes), record_exception=False, set_status_on_exception=False
    ) as made:
        try:
            yield made
        except BaseException as error:
            made.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def note(**attributes: str | int) -> None:
    """Writes attributes on the span that is open."""
    trace.get_current_span().set_attributes(dict(attributes))


def _is_wanted(env: Mapping[str, str]) -> bool:
    off = (
        env.get("OTEL_SDK_DISABLED", "").lower() == "true"
        or env.get("OTEL_TRACES_EXPORTER", "otlp") == "none"
    )
    return not off and any(env.get(name) for name in _ENDPOINTS)
