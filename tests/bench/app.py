"""The web application with a route beside it that does nothing."""

import os

from flask import Flask

from service import web


def create_app() -> Flask:
    """As gunicorn loads it: the service's own, and `/noop` to compare with."""
    app = web.create_app()

    @app.post("/noop")
    def noop() -> tuple[str, int]:
        return f"{os.getpid():>8}", 202  # whom a connection belongs to

    return app
