"""`/api/docs`: the API's documentation, by Swagger UI from files of this machine."""

from importlib.resources import as_file, files
from pathlib import Path

from flask import Blueprint, Response, abort, make_response, render_template, send_from_directory

from service.domain.people import Role
from service.web.dashboard.guard import needs

_FILES = {
    "swagger-ui.css": "css",
    "swagger-ui-bundle.js": "js",
}
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI sets styles of elements itself, which nothing but 'unsafe-inline' allows; its script is a file."""


def add(page: Blueprint) -> None:
    """Adds the page and the files that it is made of."""

    @page.get("/api/docs")
    @needs(Role.VIEWER)
    def api_docs() -> Response:
        answer = make_response(render_template("api_docs.html"))
        answer.headers["Content-Security-Policy"] = CSP
        return answer

    @page.get("/api/docs/<name>")
    @needs(Role.VIEWER)
    def api_docs_file(name: str) -> Response:
        if name not in _FILES:
            abort(404)
        with as_file(files("flask_openapi_swagger") / "templates" / "swagger" / _FILES[name]) as folder:
            return send_from_directory(Path(folder), name)
