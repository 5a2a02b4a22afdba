"""Many stories again: choose, look at what would be done, start, watch, cancel."""

from collections.abc import Mapping
from datetime import timedelta

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.bulk_replaying import BulkReplaying, Unfit
from service.domain.bulk_replays import Choice, Clock, Wanted, usual_clock
from service.domain.people import Role
from service.ledger import bulk_replays
from service.ledger.bulk_replays import BulkReplay
from service.web.dashboard.form_times import read_time
from service.web.dashboard.guard import doer, needs, sentence
from service.web.ledger_keys import ledger_key
from service.web.slow_lane import Busy, SlowLane
from service.wiring import Relay

LINES = 20
FATES = 50
_BUSY = "Others are just looking for stories to replay, which takes its time. Try again in a few seconds."


def add(page: Blueprint, relay: Relay) -> None:
    """Adds the form with its dry run, a bulk replay's page and its part that renews itself, and the buttons."""
    replaying = BulkReplaying(relay.ledger, relay.settings, relay.configuration, relay.now)
    slow = SlowLane(relay.settings.web_threads // 4)

    @page.get("/replay")
    @needs(Role.VIEWER)
    def bulk_list() -> str | tuple[str, int, dict[str, str]]:
        run, problem, busy = None, "", False
        try:
            if request.args.get("state"):
                choice = read_choice(relay, request.args)
                with slow.place():
                    run = replaying.dry_run(choice)
        except ValueError as error:
            problem = sentence(error)
        except Busy:
            problem, busy = _BUSY, True
        with relay.ledger.read() as tx:
            before = bulk_replays.newest(tx, LINES, request.args.get("before", type=ledger_key))
        usual = relay.now() - timedelta(days=1)
        shown = render_template(
            "bulk_list.html",
            asked=request.args,
            run=run,
            problem=problem,
            replays=before,
            usual=f"{usual:%Y-%m-%dT%H:%M}",
            wanted=list(Wanted),
            clocks=list(Clock),
            configuration=relay.configuration,
        )
        return (shown, 503, {"Retry-After": str(Busy.AGAIN)}) if busy else shown

    @page.get("/replay/<key:key>")
    @needs(Role.VIEWER)
    def bulk(key: int) -> str:
        return render_template("bulk.html", **_seen(relay, key))

    @page.get("/replay/<key:key>/live")
    @needs(Role.VIEWER)
    def bulk_live(key: int) -> str:
        return render_template("bulk_live.html", **_seen(relay, key))

    _add_buttons(page, relay, replaying, slow)


def _add_buttons(page: Blueprint, relay: Relay, replaying: BulkReplaying, slow: SlowLane) -> None:
    @page.post("/replay")
    @needs(Role.OPERATOR)
    def bulk_start() -> AnyResponse:
        try:
            choice = read_choice(relay, request.form)
            with slow.place():
                made = replaying.start(choice, doer())
        except (ValueError, Busy) as error:
            flash(_BUSY if isinstance(error, Busy) else sentence(error), "problem")
            return redirect(url_for("dashboard.bulk_list"))
        return redirect(url_for("dashboard.bulk", key=made.id))

    @page.post("/replay/<key:key>/cancel")
    @needs(Role.OPERATOR)
    def bulk_cancel(key: int) -> AnyResponse:
        if replaying.cancel(key, doer()):
            flash("Cancelled: the stories that it had not come to stay as they are.")
        else:
            flash("It had ended already.", "problem")
        return redirect(url_for("dashboard.bulk", key=key))


def read_choice(relay: Relay, form: Mapping[str, str]) -> Choice:
    """The choice that a form describes; its window ends now where it names no end.

    Raises ValueError, which says what would be right.
    """
    try:
        wanted = Wanted(form.get("state", ""))
        clock = Clock(form["by"]) if form.get("by") else usual_clock(wanted)
    except ValueError as error:
        raise Unfit("the form asks for a state that can't be replayed: choose one from the list") from error
    since = read_time(form, "from")
    if since is None:
        raise Unfit("say from when on")
    until = read_time(form, "to") or relay.now()
    return Choice(wanted, since, until, clock, form.get("route") or None, form.get("destination") or None)


def _seen(relay: Relay, key: int) -> dict[str, object]:
    with relay.ledger.read() as tx:
        found: BulkReplay | None = bulk_replays.read(tx, key)
        if found is None:
            abort(404, "There is no such bulk replay.")
        return {
            "bulk": found,
            "reasons": bulk_replays.reasons(tx, key),
            "fates": bulk_replays.fates(tx, key, FATES, request.args.get("before", type=ledger_key)),
            "now": relay.now(),
            "page_size": FATES,
        }
