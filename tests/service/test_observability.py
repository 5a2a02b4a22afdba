import io
import json
import logging
import re
import subprocess
import sys
import warnings
from typing import ClassVar

import pytest
import sentry_sdk
import structlog
from examples import SHARING
from hypothesis import given
from hypothesis import strategies as st
from sentry_sdk.transport import Transport

from service.observability import before_send, configure_logging, configure_sentry, logging_tree, redact
from service.redaction import redact as redact_itself

SECRET = "hunter2-that-nobody-may-see"


@pytest.fixture(autouse=True)
def _in_no_request():
    """What another test's request has left in this thread's context is in none of these lines."""
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def log_of(monkeypatch):
    """Configures logging and returns what was written to stderr; puts the set-up back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def configured(log_format="text", level="info", process="worker"):
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        configure_logging(log_format, level, process)
        return stream

    yield configured
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def fail(text):
    raise ConnectionError(text)


def events(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_for_people(log_of):
    stream = log_of()
    structlog.get_logger("service.intake").info("story.settled", story="abc", title="Two words", seconds=3.5)
    time, rest = stream.getvalue().split(" ", 1)
    assert time.endswith("Z")
    assert rest == 'info    worker    story.settled story=abc title="Two words" seconds=3.5\n'


def test_an_object_for_programs(log_of):
    stream = log_of("json")
    structlog.get_logger("service.intake").warning("lane.paused", lane="deliver/team", facts={"tries": 3})
    (event,) = events(stream)
    assert list(event)[:5] == ["timestamp", "level", "process", "logger", "event"]
    event.pop("timestamp")
    assert event == {
        "level": "warning",
        "process": "worker",
        "logger": "service.intake",
        "event": "lane.paused",
        "lane": "deliver/team",
        "facts": {"tries": 3},
    }


@pytest.mark.parametrize(
    "name", ["rq.worker", "gunicorn.error", "gunicorn.access", "alembic.runtime", "anything"]
)
def test_the_standard_librarys_log_goes_the_same_way(log_of, name):
    logger = logging.getLogger(name)
    logger.addHandler(own := logging.StreamHandler(io.StringIO()))
    stream = log_of("json")
    logger.warning("job %s of %s", 3, "/webhooks/story/s.abc.def")
    logger.removeHandler(own)
    (event,) = events(stream)
    assert (event["logger"], event["event"]) == (name, "job 3 of /webhooks/story/***")


def test_levels_below_the_set_one_are_left_out(log_of):
    stream = log_of(level="warning")
    structlog.get_logger().info("no")
    logging.getLogger("x").info("no")
    structlog.get_logger().warning("yes")
    assert stream.getvalue().count("\n") == 1


def test_configuring_again_writes_each_line_once(log_of):
    log_of()
    stream = log_of(process="web")
    structlog.get_logger().info("once")
    assert stream.getvalue().count("once") == 1
    assert " web " in stream.getvalue()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_happened_to_several_at_once_has_a_line_for_each(log_of, log_format):
    stream = log_of(log_format)
    structlog.contextvars.bind_contextvars(request_id="of-the-first")
    of_others = [{"story": "b", "request_id": "b-1"}, {"story": f"c token={SECRET}", "request_id": "c-1"}]
    structlog.get_logger().info("seen", verdict="ok", each=[{"story": "a"}, *of_others])
    written = stream.getvalue()
    assert SECRET not in written
    assert written.endswith("\n")
    for line, story, request in zip(written.splitlines(), "abc", ("of-the-first", "b-1", "c-1"), strict=True):
        said = json.loads(line) if log_format == "json" else dict(re.findall(r"(\w+)=\"?(\S)", line))
        assert (said["story"][0], said["verdict"][0]) == (story, "o")
        assert request in line
        assert "each" not in said


def test_warnings_are_logged(log_of):
    stream = log_of()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old thing", stacklevel=1)
    assert "old thing" in stream.getvalue()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_is_told_without_secrets(log_of, log_format):
    stream = log_of(log_format)
    try:
        fail(f"no answer from redis://:{SECRET}@queue/0")
    except ConnectionError:
        structlog.get_logger().exception("queue.down", key="x")
        logging.getLogger("rq.worker").exception("queue down")
    written = stream.getvalue()
    assert SECRET not in written
    assert written.count("ConnectionError: no answer from redis://:***@queue/0") == 2
    if log_format == "text":
        assert all(line.startswith(("20", "    ")) for line in written.splitlines())


PLANTED = {
    "url": f"https://cdn.example.com/v.mp4?Signature={SECRET}",
    "headers": {"X-Api-Key": SECRET, "Authorization": f"Bearer {SECRET}"},
    "token": SECRET,
    "nested": [{"password": SECRET}],
    "error": ValueError(f"whsec_{SECRET}"),
    "path": f"/media/{SECRET}.{SECRET}",
}


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_planted_secrets_never_reach_the_log(log_of, log_format):
    stream = log_of(log_format)
    structlog.get_logger().bind(**PLANTED).error(f"POST /webhooks/story/{SECRET}")
    logging.getLogger("x").error("%s", PLANTED)
    assert SECRET not in stream.getvalue()
    assert stream.getvalue().count("\n") == 2


@given(text=st.text(), name=st.text("abc \n\u202e", min_size=1))
@SHARING
def test_untrusted_text_stays_on_its_line(log_of, text, name):
    stream = log_of()
    structlog.get_logger().info(text, title=text, tree={name: [text]})
    assert stream.getvalue().endswith("\n")
    assert stream.getvalue().removesuffix("\n").isprintable()


def test_an_endless_value_is_cut(log_of):
    stream = log_of()
    structlog.get_logger().info("answer", body="x" * 100_000)
    assert len(stream.getvalue()) < 3_000


def test_gunicorn_can_take_the_same_set_up():
    code = (
        "import logging.config; from service.observability import logging_tree;"
        "logging.config.dictConfig(logging_tree('json', 'info', 'web'));"
        "logging.getLogger('gunicorn.error').info('Booting'); logging.getLogger('x').debug('no')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (json.loads(done.stderr)["event"], done.stdout) == ("Booting", "")
    assert logging_tree("text", "info", "web")["disable_existing_loggers"] is False


class Reports(Transport):
    """Keeps what Sentry would have been sent."""

    sent: ClassVar[list[str]] = []

    def capture_envelope(self, envelope):
        for item in envelope.items:
            Reports.sent.append(json.dumps(item.payload.json))


@pytest.fixture
def reports(log_of):
    log_of()
    Reports.sent = []
    with sentry_sdk.isolation_scope():
        configure_sentry("https://key@sentry.example.com/1", "1.2.3", "worker", transport=Reports)
        yield Reports.sent
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


def test_reports_carry_no_secret(reports):
    try:
        fail(f"no answer from https://u:{SECRET}@place.example.com/x?sig={SECRET}")
    except ConnectionError:
        structlog.get_logger("service").exception(f"POST /webhooks/story/{SECRET}", **PLANTED)
    logging.getLogger("x").error("std %s", f"xoxb-{SECRET}", extra={"data": PLANTED})
    sentry_sdk.add_breadcrumb(message="GET", data={"url": "https://x", "http.query": f"k={SECRET}"})
    sentry_sdk.capture_event(
        {
            "message": "request",
            "request": {
                "query_string": f"sig={SECRET}",
                "headers": {"Cookie": SECRET},
                "url": f"https://x/?{SECRET}",
            },
        }
    )
    assert len(reports) == 3
    assert not [report for report in reports if SECRET in report]
    first = json.loads(reports[0])
    assert first["logentry"]["message"] == "POST /webhooks/story/***"
    assert first["extra"]["url"] == "https://cdn.example.com/v.mp4?***"
    (error,) = first["exception"]["values"]
    assert error["value"] == "no answer from https://u:***@place.example.com/x?***"
    assert "vars" not in error["stacktrace"]["frames"][-1]
    assert (first["release"], first["tags"]["process"]) == ("1.2.3", "worker")


def test_an_exception_that_is_handed_over_is_reported_as_one(reports):
    structlog.get_logger("service").error("step.failed", exc_info=ConnectionError("gone"))
    assert json.loads(reports[0])["exception"]["values"][0]["value"] == "gone"
    assert "exc_info" not in json.loads(reports[0])["extra"]


def test_breadcrumbs_tell_the_log_in_plain_words(reports):
    structlog.get_logger("service").info("story.settled", story="abc", token=SECRET)
    logging.getLogger("x").error("oh")
    crumbs = json.loads(reports[0])["breadcrumbs"]["values"]
    assert [crumb["message"] for crumb in crumbs if crumb["category"] == "service"] == ["story.settled"]
    assert SECRET not in reports[0]


def test_nothing_is_reported_without_a_dsn(log_of):
    log_of()
    configure_sentry(None, "1", "web", transport=Reports)
    assert not sentry_sdk.get_client().is_active()


def test_an_event_without_a_log_record_passes():
    assert before_send({"message": f"token={SECRET}"}, {}) == {"message": "token=***"}


def test_redact_is_to_be_found_here():
    assert redact is redact_itself
