"""The tokens by which programs use the JSON API: made here, shown once, removed."""

from flask import Blueprint, Request, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.api_tokens import ApiTokens, NotDone
from service.domain.api_tokens import MARK, MEANINGS, Scope
from service.domain.people import Role
from service.web.dashboard.guard import me, needs, remote, sentence
from service.wiring import Relay


def add(page: Blueprint, relay: Relay) -> None:
    """Adds the page."""
    tokens = ApiTokens(relay.ledger, relay.now)

    @page.get("/tokens")
    @needs(Role.ADMIN)
    def token_list() -> str:
        return _shown(tokens, relay)

    @page.post("/tokens")
    @needs(Role.ADMIN)
    def token_change() -> str | AnyResponse:
        try:
            if request.form.get("what") == "add":
                # shown in this answer and nowhere else: a redirect would have to carry the secret in the session
                return _shown(tokens, relay, _made(tokens, request))
            name = request.form.get("name", "")
            tokens.remove(name, me().name, remote())
            flash(f"The token {name} is removed: the next call with it is refused.")
        except (ValueError, NotDone) as error:
            flash(sentence(error), "problem")
        return redirect(url_for("dashboard.token_list"))


def _made(tokens: ApiTokens, asked: Request) -> str:
    """The text of a fresh token. Raises ValueError and NotDone."""
    scopes = [Scope(each) for each in asked.form.getlist("scope")]
    days = asked.form.get("days", "").strip()
    if days and not (days.isascii() and days.isdigit()):
        raise ValueError("the days are a whole number")
    name = asked.form.get("name", "").strip()
    return tokens.add(name, scopes, int(days[:6]) if days else None, me().name, remote()).text


def _shown(tokens: ApiTokens, relay: Relay, fresh: str | None = None) -> str:
    return render_template(
        "tokens.html", tokens=tokens.all(), fresh=fresh, mark=MARK, meanings=MEANINGS, now=relay.now()
    )
