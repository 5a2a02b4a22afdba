"""Gunicorn's settings: few threads in few processes, which answered webhooks fastest and steadiest."""

from service.settings import load_settings

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
