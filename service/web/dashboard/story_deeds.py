"""What people do on a story's page; each deed says afterwards what was done."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.domain.people import Doer, Role
from service.ledger.stories import StoryRow
from service.story_actions import Acted, ActionRefused, StoryActions
from service.web.dashboard.guard import me, needs, remote, sentence
from service.web.dashboard.story_page import address, find
from service.web.dashboard.story_view import StoryView, read_view
from service.wiring import Relay

Answer = str | AnyResponse
Act = Callable[[StoryActions, StoryRow], Acted]

_TOO_OLD = (
    "The story has changed since that page was loaded, so nothing was done. Look at it, then press again."
)


def add(page: Blueprint, relay: Relay) -> None:
    """Adds what the buttons of a story's page lead to."""
    deeds = _StoryDeeds(relay)
    both = ["GET", "POST"]
    for path, view, methods in (
        ("/stories/adopt", deeds.story_adopt, ["POST"]),
        ("/stories/<story>/fetch", deeds.story_fetch, ["POST"]),
        ("/stories/<story>/replay", deeds.story_replay, ["POST"]),
        ("/stories/<story>/withdraw", deeds.story_withdraw, both),
        ("/stories/<story>/cancel", deeds.story_cancel, both),
        ("/stories/<story>/forget", deeds.story_forget, both),
        ("/stories/<story>/delete-at-api", deeds.story_delete_at_api, both),
    ):
        page.add_url_rule(path, view_func=view, methods=methods)


@dataclass(frozen=True)
class _StoryDeeds:
    relay: Relay

    @needs(Role.OPERATOR)
    def story_adopt(self) -> Answer:
        try:
            acted = self._actions().adopt(request.form.get("id", ""), request.form.get("route") or None)
        except ActionRefused as refused:
            flash(sentence(refused), "problem")
            return redirect(url_for("dashboard.story_new"))
        return self._told(acted)

    @needs(Role.OPERATOR)
    def story_fetch(self, story: str) -> Answer:
        return self._do(story, lambda actions, row: actions.fetch_now(row.id), ages=False)

    @needs(Role.OPERATOR)
    def story_replay(self, story: str) -> Answer:
        return self._do(story, lambda actions, row: actions.replay(row.id, _destinations()))

    @needs(Role.OPERATOR)
    def story_withdraw(self, story: str) -> Answer:
        return self._surely(story, "withdraw", lambda actions, row: actions.withdraw(row.id, _destinations()))

    @needs(Role.OPERATOR)
    def story_cancel(self, story: str) -> Answer:
        return self._surely(story, "cancel", lambda actions, row: actions.cancel(row.id))

    @needs(Role.ADMIN)
    def story_forget(self, story: str) -> Answer:
        return self._surely(story, "forget", lambda actions, row: actions.forget(row.id))

    @needs(Role.ADMIN)
    def story_delete_at_api(self, story: str) -> Answer:
        typed = request.form.get("typed", "")
        return self._surely(story, "delete_at_api", lambda actions, row: actions.delete_at_api(row.id, typed))

    def _surely(self, story: str, action: str, act: Act) -> Answer:
        """Asks first: what can't be undone takes a second press."""
        if request.method == "POST":
            return self._do(story, act)
        view = read_view(self.relay.ledger, self._found(story))
        return render_template("story_confirm.html", seen=view, action=action)

    def _do(self, story: str, act: Act, *, ages: bool = True) -> Answer:
        row = self._found(story)
        if ages and request.form.get("seen") != _print(self.relay, row):
            flash(_TOO_OLD, "problem")
            return _back(row)
        try:
            acted = act(self._actions(), row)
        except ActionRefused as refused:
            flash(sentence(refused), "problem")
            return _back(row)
        return self._told(acted)

    def _told(self, acted: Acted) -> Answer:
        flash(" ".join(acted.sentences), "done" if acted.changed else "problem")
        return redirect(url_for("dashboard.overview")) if acted.story is None else _back(acted.story)

    def _actions(self) -> StoryActions:
        return self.relay.story_actions(Doer(me().name, remote()))

    def _found(self, story: str) -> StoryRow:
        row = find(self.relay, story)
        if row is None:
            abort(HTTPStatus.NOT_FOUND, "There is no such story here; somebody may have had it forgotten.")
        return row


def _print(relay: Relay, row: StoryRow) -> str:
    view: StoryView = read_view(relay.ledger, row)
    return view.print


def _destinations() -> list[str]:
    """The destination that the form names; none for all."""
    return [name for name in request.form.getlist("destination") if name]


def _back(row: StoryRow) -> AnyResponse:
    return redirect(url_for("dashboard.story", story=address(row)))
