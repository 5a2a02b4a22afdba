"""Signing in and out, and the one-time page by which the first account is made."""

from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

import structlog
from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.accounts import Accounts, NotDone, Refused, TooMany
from service.domain.people import Role
from service.setup_url import BadToken
from service.web.dashboard.guard import begin_session, me, needs, open_to_all, remote, sentence
from service.web.refusal_log import RefusalLog
from service.wiring import Relay

log = structlog.get_logger()

Answer = str | AnyResponse | tuple[str, int]


def add(page: Blueprint, accounts: Accounts, relay: Relay) -> None:
    """Adds the pages."""
    pages = _SignInPages(accounts, relay)
    page.add_url_rule("/sign-in", view_func=pages.sign_in, methods=["GET", "POST"])
    page.add_url_rule("/sign-out", view_func=pages.sign_out, methods=["POST"])
    page.add_url_rule("/setup/<token>", view_func=pages.setup, methods=["GET", "POST"])


@dataclass(frozen=True)
class _SignInPages:
    accounts: Accounts
    relay: Relay
    refusals: RefusalLog = field(default_factory=lambda: RefusalLog("sign_in.refused"))

    @open_to_all
    def sign_in(self) -> Answer:
        name, problem = request.form.get("name", ""), None
        if request.method == "POST":
            try:
                person = self.accounts.sign_in(name, request.form.get("password", ""), remote())
                begin_session(person)
                log.info("sign_in.done", name=person.name, remote=remote())
                return redirect(_inside(request.args.get("next", "")))
            except Refused:
                problem = "Name or password is wrong."
                self.refusals.note("wrong name or password", remote())
            except TooMany as error:
                problem = sentence(error)
                self.refusals.note("too many tries", remote())
        is_empty = self.accounts.is_empty()
        shown = render_template("sign_in.html", name=name, problem=problem, is_empty=is_empty)
        return shown, HTTPStatus.FORBIDDEN if problem else HTTPStatus.OK

    @needs(Role.VIEWER)
    def sign_out(self) -> Answer:
        if request.form.get("everywhere"):
            self.accounts.end_sessions(me().name, me().name, remote())
        session.clear()
        return redirect(url_for("dashboard.sign_in"))

    @open_to_all
    def setup(self, token: str) -> Answer:
        try:
            self.relay.setup_urls.read(token)
        except BadToken:
            abort(404, "This link has expired or is not whole. `storyrelay user link` makes another.")
        if not self.accounts.is_empty():
            abort(404, "The first account was made already: sign in, or ask its owner for one of yours.")
        if request.method == "GET":
            return render_template("setup.html", name="", problem=None)
        name = request.form.get("name", "")
        try:
            begin_session(self.accounts.add_first(name, request.form.get("password", ""), remote()))
        except (ValueError, NotDone) as error:
            return render_template("setup.html", name=name, problem=sentence(error)), HTTPStatus.BAD_REQUEST
        flash("Welcome. This account may do everything; under People you make accounts for others.")
        return redirect(url_for("dashboard.overview"))


def _inside(wanted: str) -> str:
    """Where to go after signing in: a page of ours, never another site's."""
    parts = urlsplit(wanted)
    if not wanted.isprintable():  # no header may hold it
        return url_for("dashboard.overview")
    if parts.scheme or parts.netloc or not wanted.startswith("/") or wanted.startswith(("//", "/\\")):
        return url_for("dashboard.overview")
    return wanted
