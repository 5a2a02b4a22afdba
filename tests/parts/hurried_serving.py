"""The service's gunicorn settings, with a short time for requests to come in and for answers to be taken."""

from service.web import request_deadline
from service.web.serving import *  # noqa: F403  gunicorn reads a module's names

request_deadline.REQUEST_SECONDS = request_deadline.SILENCE_SECONDS = 1
