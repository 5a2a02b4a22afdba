"""Gunicorn's settings: few processes, with threads enough that webhooks of a rush share their commits."""

from typing import Any

from service.settings import load_settings
from service.web.request_deadline import with_deadlines

_settings = load_settings()

wsgi_app = "service.web:create_app()"
worker_class = "gthread"
workers = _settings.web_concurrency
threads = _settings.web_threads
preload_app = True
keepalive = 5
timeout = 60
graceful_timeout = 25
accesslog = None  # the application logs what matters; webhook addresses are secrets
loglevel = "warning"
control_socket_disable = True  # it would lie outside of the home, one for all gunicorns of a user


def post_worker_init(worker: Any) -> None:
    """Bounds the reading of requests: gthread reads in blocking mode, and `timeout` watches the process alone."""
    for listener in worker.sockets:
        listener.sock = with_deadlines(listener.sock)


def worker_exit(_server: Any, worker: Any) -> None:
    """Writes down what the process has counted and not saved yet."""
    app = getattr(worker, "wsgi", None)
    if app is not None:
        relay = app.extensions["storyrelay"]
        relay.meter.save(relay.ledger)
