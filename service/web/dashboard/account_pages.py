"""People and what they did: accounts, one's own password, the audit log."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.accounts import Accounts, NotDone
from service.domain.people import Role
from service.ledger import people
from service.web.dashboard.guard import begin_session, me, needs, remote, sentence
from service.web.ledger_keys import ledger_key
from service.wiring import Relay

LINES = 100


def add(page: Blueprint, accounts: Accounts, relay: Relay) -> None:
    """Adds the pages."""

    @page.get("/people")
    @needs(Role.ADMIN)
    def people_list() -> str:
        return render_template("people.html", accounts=accounts.all(), roles=list(Role))

    @page.post("/people")
    @needs(Role.ADMIN)
    def people_change() -> AnyResponse:
        try:
            flash(_change(accounts, request.form))
        except (ValueError, NotDone) as error:
            flash(sentence(error), "problem")
        return redirect(url_for("dashboard.people_list"))

    @page.route("/account", methods=["GET", "POST"])
    @needs(Role.VIEWER)
    def account() -> str | AnyResponse:
        if request.method == "GET":
            return render_template("account.html")
        try:
            accounts.set_own_password(
                me(), request.form.get("old", ""), request.form.get("new", ""), remote()
            )
        except (ValueError, NotDone) as error:
            flash(sentence(error), "problem")
            return redirect(url_for("dashboard.account"))
        begin_session(accounts.sign_in(me().name, request.form.get("new", ""), remote()))
        flash("The password is changed, and every other session of yours has ended.")
        return redirect(url_for("dashboard.account"))

    @page.get("/audit")
    @needs(Role.ADMIN)
    def audit() -> str:
        before = request.args.get("before", type=ledger_key)
        with relay.ledger.read() as tx:
            lines = people.deeds(tx, LINES + 1, before)
        older = lines[LINES - 1][0] if len(lines) > LINES else None
        return render_template("audit.html", deeds=[deed for _, deed in lines[:LINES]], older=older)


def _change(accounts: Accounts, form: "dict[str, str]") -> str:
    """Does what the form says; returns what was done. Raises ValueError and NotDone."""
    what, name, who = form.get("what", ""), form.get("name", "").strip(), me().name
    if what == "add":
        accounts.add(name, _role(form), form.get("password", ""), who, remote())
        return f"{name} has an account now. Tell them name and password; they can change it."
    if what == "role":
        accounts.set_role(name, _role(form), who, remote())
        return f"{name} has another role now, and has to sign in again."
    if what == "end":
        accounts.end_sessions(name, who, remote())
        return f"{name} is signed out everywhere."
    if what == "remove":
        accounts.remove(name, who, remote())
        return f"The account {name} is removed."
    raise ValueError("this form asks for something unknown")


def _role(form: "dict[str, str]") -> Role:
    return Role(form.get("role", ""))
