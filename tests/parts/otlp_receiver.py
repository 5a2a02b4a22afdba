"""A collector of OpenTelemetry's traces: takes OTLP over HTTP and keeps the spans."""

import gzip
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue


@dataclass(frozen=True)
class ReceivedSpan:
    """Ids in hex; `parent` is '' for the first of a trace; `process` is the resource's `storyrelay.process`."""

    trace: str
    id: str
    parent: str
    name: str
    process: str
    attributes: Mapping[str, str]


@dataclass
class OtlpReceiver:
    """What came so far; `bodies` as they were sent, unpacked."""

    url: str
    spans: list[ReceivedSpan] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        """Keeps what one request tells. Raises DecodeError."""
        request = ExportTraceServiceRequest.FromString(body)
        for each in request.resource_spans:
            process = _plain(each.resource.attributes).get("storyrelay.process", "")
            for scope in each.scope_spans:
                self.spans += [
                    ReceivedSpan(
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.name,
                        process,
                        _plain(span.attributes),
                    )
                    for span in scope.spans
                ]
        self.bodies.append(body)


def _plain(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {one.key: one.value.string_value or str(one.value.int_value) for one in attributes}


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """Listens on loopback; `url` is what OTEL_EXPORTER_OTLP_ENDPOINT is to name."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            right = (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
            if right:
                received.take(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if right else 400)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_args: object) -> None:
            """Spans are kept, requests are not printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = OtlpReceiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
