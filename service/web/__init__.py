"""The web process: receives webhooks, serves media links, says how it is."""

from service.web.app import create_app

__all__ = ["create_app"]
