"""One log, and reports to Sentry, with secrets taken out of both."""

import json
import logging
import logging.config
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import sentry_sdk
import structlog
from sentry_sdk.integrations.logging import ignore_logger
from sentry_sdk.transport import Transport
from sentry_sdk.types import Event, Hint
from structlog.typing import EventDict, Processor, WrappedLogger

from service.redaction import redact, redact_tree

__all__ = ["configure_logging", "configure_sentry", "logging_tree", "redact"]

LogFormat = Literal["text", "json"]

_LONGEST_VALUE = 2_000
_LONGEST_TRACE = 20_000
_FIRST = ("timestamp", "level", "process", "logger", "event")
_TAGS = ("story", "step", "lane", "request_id")
_TRACES = ("exception", "stack")


def configure_logging(log_format: LogFormat, level: str, process: str) -> None:
    """Sends this process's log, structlog's and the standard library's alike, to stderr.

    `text`: a line an event, tracebacks below it; `json`: a JSON object a line. `process` names the process
    (web, worker, …) in each. May be called again, as after a fork.

    An event's field `each` makes a line of each mapping in it, together with the other fields, all in one write:
    among many threads a write costs far more than a line.
    """
    logging.config.dictConfig(logging_tree(log_format, level, process))
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            _for_the_standard_library,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def logging_tree(log_format: LogFormat, level: str, process: str) -> dict[str, Any]:
    """The set-up of the standard library's logging, as `logging.config.dictConfig` and gunicorn take it."""
    own_handlers = ("gunicorn.error", "gunicorn.access", "rq.worker", "rq.job")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"own": {"()": lambda: _formatter(log_format, process)}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "own"}
        },
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        # these bring handlers of their own, which would write past the redaction
        "loggers": {name: {"handlers": [], "propagate": True} for name in own_handlers}
        | {
            "alembic": {"handlers": [], "propagate": True, "level": "WARNING"}
        },  # we say ourselves what was migrated
    }


def configure_sentry(
    dsn: str | None,
    release: str,
    process: str,
    environment: str = "production",
    *,
    transport: type[Transport] | None = None,
) -> None:
    """Reports errors to Sentry, without bodies, local variables and people's data; nothing without a DSN.

    `transport` is for tests.
    """
    if not dsn:
        return
    sentry_sdk.init(
        dsn=dsn,
        release=release,
        environment=environment,
        transport=transport,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        traces_sample_rate=0,
        before_send=before_send,
        before_breadcrumb=_before_breadcrumb,
    )
    ignore_logger("opentelemetry")  # a collector that is down is no news for each batch of spans
    ignore_logger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    sentry_sdk.set_tag("process", process)


def before_send(event: Event, hint: Hint) -> Event:
    """Gives a log's event its plain words back, and takes secrets out of everything that is sent."""
    record = hint.get("log_record")
    if isinstance(record, logging.LogRecord) and isinstance(record.msg, Mapping):
        fields = {name: value for name, value in record.msg.items() if name != "exc_info"}
        event["logentry"] = {"message": _headline(fields), "params": []}
        event["extra"] = {**event.get("extra", {}), **fields}
        _tag(event, fields)
        if "lane" in fields:  # or trouble at all places would be one issue
            event["fingerprint"] = ["{{ default }}", str(fields["lane"])]
    _tag(event, structlog.contextvars.get_contextvars())
    return cast("Event", redact_tree(event))


def _headline(fields: dict[str, Any]) -> str:
    """What a report is called: `step.dead deliver/team: it said no`."""
    name = str(fields.pop("event", ""))
    about = f" {fields['lane']}" if "lane" in fields else ""
    return f"{name}{about}: {fields['error']}" if "lane" in fields and "error" in fields else name + about


def _tag(event: Event, fields: Mapping[str, Any]) -> None:
    tags = {name: str(fields[name])[:200] for name in _TAGS if fields.get(name) is not None}
    if tags:
        event["tags"] = {**tags, **cast("dict[str, str]", event.get("tags", {}))}


def _before_breadcrumb(crumb: dict[str, Any], hint: Hint) -> dict[str, Any]:
    record = hint.get("log_record")
    if isinstance(record, logging.LogRecord) and isinstance(record.msg, Mapping):
        crumb["message"] = str(record.msg.get("event", ""))
    return crumb


def _for_the_standard_library(
    logger: Any, name: str, event: EventDict
) -> tuple[tuple[EventDict], dict[str, Any]]:
    """Hands the event on; its exception goes with the record as well, where Sentry looks for it."""
    args, kwargs = structlog.stdlib.ProcessorFormatter.wrap_for_formatter(logger, name, event)
    return args, {**kwargs, "exc_info": event.get("exc_info")}


def _formatter(log_format: LogFormat, process: str) -> logging.Formatter:
    def from_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {**event, "process": process}

    return structlog.stdlib.ProcessorFormatter(
        processors=[
            _add_origin,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            from_process,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            _lines_by(structlog.processors.JSONRenderer() if log_format == "json" else _line),
        ],
    )


def _lines_by(render: Callable[[WrappedLogger, str, EventDict], str | bytes]) -> Processor:
    def lines(logger: WrappedLogger, method: str, event: EventDict) -> str:
        of_each = event.pop("each", None) or [{}]
        return "\n".join(str(render(logger, method, _for_people({**event, **one}))) for one in of_each)

    return lines


def _add_origin(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    return {**event, "level": record.levelname.lower(), "logger": record.name}


def _for_people(event: EventDict) -> EventDict:
    """Takes secrets out, cuts what is too long, and puts what people look for first."""
    names = sorted(event, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    clean: EventDict = redact_tree({name: event[name] for name in names}, depth=6)
    return {name: _cut(name, value) for name, value in clean.items()}


def _cut(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if name in _TRACES:
        return value[-_LONGEST_TRACE:]  # the end says what went wrong
    return value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "…"


def _line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """`2026-01-31T12:00:00Z info    worker  story.settled story=abc seconds=3`, and a traceback below."""
    traces = [event.pop(name) for name in _TRACES if event.get(name)]
    time, level, process, _logger_name, said = (str(event.pop(name, "")) for name in _FIRST)
    fields = "".join(f" {_one_line(name)}={_shown(value)}" for name, value in event.items())
    lines = [f"{time[:19]}Z {level:<7} {process:<9} {_one_line(said)}{fields}"]
    lines += [f"    {_one_line(line)}" for trace in traces for line in trace.split("\n")]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, str) and value and not set(value) & set(' "='):
        return _one_line(value)
    return _one_line(json.dumps(value, ensure_ascii=False))


def _one_line(text: str) -> str:
    """Untrusted text must not forge a line, nor move the cursor, nor turn the reading direction."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
