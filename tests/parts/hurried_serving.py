"""The service's gunicorn settings, with a short time for a request to come in."""

from service.web import request_deadline
from service.web.serving import *  # noqa: F403  gunicorn reads a module's names

request_deadline.REQUEST_SECONDS = 1
