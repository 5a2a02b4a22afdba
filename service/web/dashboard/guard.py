"""Who may see a page and change something there: sessions, roles, and proof that a form is ours."""

import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TypeVar, cast
from urllib.parse import urlencode, urlsplit

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    flash,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from service.accounts import Accounts, Crowded
from service.domain.people import Doer, Person, Role
from service.settings import Settings

View = TypeVar("View", bound=Callable[..., object])

SESSION_HOURS = 12
_ENDED = (
    "You were signed out: your account or its role was changed or removed, or it was signed out everywhere. "
    "Sign in again; if that is refused, ask an admin."
)
_SAFE = ("GET", "HEAD", "OPTIONS")


def content_policy(media: str = "") -> str:
    """What a page may load, as Content-Security-Policy; `media`: an origin from where it plays videos as well."""
    return (
        f"default-src 'self'; img-src 'self' data: https:; media-src 'self' https: {media}; "
        "style-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ).replace(" ;", ";")


_HEADERS = {
    "Content-Security-Policy": content_policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def configure_sessions(app: Flask, settings: Settings) -> None:
    """Signs session cookies with the first secret key; the others verify, so that keys can rotate."""
    first, *others = (key.get_secret_value() for key in settings.secret_keys)
    app.secret_key = first
    app.config.update(
        SECRET_KEY_FALLBACKS=others,
        SESSION_COOKIE_NAME="storyrelay",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https://"),
        PERMANENT_SESSION_LIFETIME=timedelta(hours=SESSION_HOURS),
    )


def open_to_all(view: View) -> View:
    """Lets a page be seen without an account. What changes something there still needs a form of ours."""
    view.needed_role = None  # type: ignore[attr-defined]
    return view


def needs(role: Role) -> Callable[[View], View]:
    """Says which role a page takes. A page that says nothing is shown to nobody."""

    def mark(view: View) -> View:
        view.needed_role = role  # type: ignore[attr-defined]
        return view

    return mark


def me() -> Person:
    """Who is signed in; only behind `needs`."""
    return cast("Person", g.person)


def remote() -> str:
    """The address that asks."""
    return request.remote_addr or ""


def doer() -> Doer:
    """Who does something on this page, for the audit log; only behind `needs`."""
    return Doer(me().name, remote())


def begin_session(person: Person) -> None:
    """Signs the person in, in this browser; nothing of an earlier session stays."""
    session.clear()
    session.permanent = True
    session["person"], session["epoch"] = person.id, person.epoch
    session["csrf"] = secrets.token_urlsafe(32)


def csrf_token() -> str:
    """What every form of ours carries, and no other site knows."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(32)
    return str(session["csrf"])


def sentence(error: Exception) -> str:
    """What went wrong, as a sentence of its own."""
    said = str(error)
    return f"{said[:1].upper()}{said[1:]}."


LARGEST_FORM = 256 * 1024
"""Bytes; the longest form is a new story's."""


class Guard:
    """Stands before every page of the dashboard."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def blueprint(self) -> Blueprint:
        """Where pages are to be added."""
        page = Blueprint(
            "dashboard",
            __name__,
            template_folder="templates",
            static_folder="static",
            static_url_path="/static",
        )
        page.before_request(self._admit)
        page.after_request(_add_headers)
        page.register_error_handler(HTTPException, _error_page)
        page.register_error_handler(Crowded, _crowded)
        page.app_context_processor(_for_templates)
        page.add_app_template_filter(moment)
        page.add_app_template_filter(seconds)
        return page

    def _admit(self) -> AnyResponse | tuple[str, int] | None:
        if request.endpoint == "dashboard.static":
            return None
        g.person = None
        request.max_content_length = LARGEST_FORM  # before anything is read of it
        if "\0" in request.path or any("\0" in text for _, text in request.values.items(multi=True)):
            # no text of ours has it, and PostgreSQL takes none
            return _page("Not understood", "The address or the form holds a character that no text has.", 400)
        g.person = self._person()
        view = current_app.view_functions[str(request.endpoint)]
        if not hasattr(view, "needed_role"):
            return _refuse("This page does not say who may see it.")
        needed: Role | None = view.needed_role
        if needed is not None and g.person is None:
            return _to_sign_in()
        if needed is not None and not g.person.role.may(needed):
            return _refuse(f"This takes the role {needed}; yours is {g.person.role}.")
        if request.method not in _SAFE and not _is_our_form():
            return _page(
                "Not done", "This form is too old, or was not ours. Go back, reload, try again.", 400
            )
        return None

    def _person(self) -> Person | None:
        key, epoch = session.get("person"), session.get("epoch")
        if not isinstance(key, int) or not isinstance(epoch, int):
            return None
        return self._accounts.current(key, epoch)


def _is_our_form() -> bool:
    given = request.headers.get("X-CSRF-Token") or request.form.get("csrf", "")
    return hmac.compare_digest(str(session.get("csrf", "")).encode(), given.encode()) and bool(given)


def _to_sign_in() -> AnyResponse | tuple[str, int]:
    if request.method not in _SAFE:
        return _page("Not done", "You are signed out. Sign in, then try again.", HTTPStatus.UNAUTHORIZED)
    if session.pop("person", None) is not None:  # said once, though several parts of a page may ask
        flash(_ENDED, "problem")
    wanted = _page_of_part() or request.full_path.rstrip("?")
    address = url_for("dashboard.sign_in") + "?" + urlencode({"next": wanted})
    if request.headers.get("HX-Request"):
        return Response(status=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": address})
    return redirect(address)


def _page_of_part() -> str:
    """The page that holds the part which is asked for; '' where a whole page is, or none is told."""
    parts = urlsplit(request.headers.get("HX-Current-URL", ""))
    return f"{parts.path}?{parts.query}".rstrip("?")


def _refuse(why: str) -> tuple[str, int]:
    return _page("Not allowed", why, HTTPStatus.FORBIDDEN)


def _page(title: str, text: str, status: int) -> tuple[str, int]:
    return render_template("message.html", title=title, text=text), status


def _error_page(error: HTTPException) -> AnyResponse | tuple[str, int]:
    return _page(error.name, str(error.description or ""), error.code or 500)


def _crowded(error: Crowded) -> AnyResponse:
    answer = current_app.make_response(_page("Not now", sentence(error), HTTPStatus.SERVICE_UNAVAILABLE))
    answer.headers["Retry-After"] = str(error.AGAIN)
    return answer


def _add_headers(response: Response) -> Response:
    if request.endpoint == "dashboard.static":
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def moment(at: datetime) -> str:
    """A time for people, in UTC, to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def seconds(value: float) -> str:
    """A duration for people: 0.7 s, 12 s, 5 min, 3.2 h, 4.1 days."""
    for limit, unit, name in ((9.95, 1, "s"), (90, 1, "s"), (5400, 60, "min"), (172800, 3600, "h")):
        if value < limit:
            return f"{value / unit:.1f} {name}" if limit in (9.95, 172800) else f"{value / unit:.0f} {name}"
    return f"{value / 86400:.1f} days"


def _for_templates() -> dict[str, object]:
    return {"me": g.get("person"), "csrf_token": csrf_token, "Role": Role}
