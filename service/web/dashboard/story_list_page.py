"""The list of stories: found by what people know of them; their states move while it is looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Blueprint, abort, render_template, request

from service.domain.people import Role
from service.domain.states import UNFINISHED_STORIES, StepState, StoryState
from service.ledger import story_lines, story_list
from service.ledger.story_lines import Delivered
from service.ledger.story_list import Found, Sought
from service.web.dashboard.form_times import NoTime, read_time
from service.web.dashboard.guard import needs, sentence
from service.web.ledger_keys import HIGHEST_KEY, ledger_key
from service.wiring import Relay

LINES = 50
BUSY_SECONDS, IDLE_SECONDS = 3, 15
"""Between two looks at the states: while something on the page is under way, and otherwise."""

TURNS = ("before", "after")
_MARKS = {
    StepState.DONE: ("✓", "good", "published"),
    StepState.DEAD: ("✗", "bad", "given up"),
    StepState.CANCELLED: ("–", "quiet", "withdrawn or not sent"),
}


@dataclass(frozen=True)
class Mark:
    """A destination in a story's line. `url`: only what a browser may follow."""

    destination: str
    sign: str
    tone: str
    meaning: str
    url: str | None


class BadFilter(ValueError):
    """The address asks for what there can't be; the message says what."""


def add(page: Blueprint, relay: Relay) -> None:
    """Adds the list, and the rows that renew themselves."""
    page.add_app_template_global(_mark, "mark_of")

    @page.get("/stories")
    @needs(Role.VIEWER)
    def story_list_page() -> str:
        asked = {name: value for name, value in request.args.items() if value}
        try:
            sought, turns = read_sought(asked), _turns(asked)
        except (NoTime, BadFilter) as error:
            abort(400, sentence(error))
        with relay.ledger.read() as tx:
            found = story_list.page(tx, sought, LINES, **turns)
            rows = story_lines.lines(tx, found.keys)
            reached = story_lines.lines(tx, [found.looked_to]) if found.looked_to is not None else []
        kept = {name: value for name, value in asked.items() if name not in TURNS}
        return render_template(
            "stories.html",
            rows=rows,
            found=found,
            reached=reached[0].created_at if reached else None,
            asked=kept,
            states=list(StoryState),
            routes=[route.name for route in relay.configuration.routes],
            destinations=list(relay.configuration.destinations),
            now=relay.now(),
            **_renewal(found, rows),
        )

    @page.get("/stories/live")
    @needs(Role.VIEWER)
    def story_list_live() -> str:
        keys = [int(text) for text in request.args.get("keys", "").split(",")[:LINES] if text.isdecimal()]
        with relay.ledger.read() as tx:
            rows = story_lines.lines(tx, [key for key in keys if key <= HIGHEST_KEY])
        return render_template("story_rows.html", rows=rows, now=relay.now())


def read_sought(asked: Mapping[str, str]) -> Sought:
    """What a filter's fields ask for. Raises NoTime and BadFilter."""
    state, label = asked.get("state", ""), asked.get("label", "").strip()
    name, given, value = label.partition("=")
    if label and not (given and name.strip()):
        raise BadFilter("a label is written as its name, =, and its value, such as team=brand")
    return Sought(
        states=_states(state),
        route=asked.get("route") or None,
        destination=asked.get("destination") or None,
        labels={name.strip(): value.strip()} if label else {},
        since=read_time(asked, "from"),
        until=read_time(asked, "to"),
        words=asked.get("text", "").strip()[:200],
    )


def _states(asked: str) -> tuple[StoryState, ...]:
    if asked == "unfinished":
        return UNFINISHED_STORIES
    if asked and asked not in set(StoryState):
        raise BadFilter(f"there is no state “{asked[:40]}”")
    return (StoryState(asked),) if asked else ()


def _turns(asked: Mapping[str, str]) -> dict[str, int]:
    try:
        turns = {name: ledger_key(asked[name]) for name in TURNS if name in asked}
    except ValueError as error:
        text = "the address of this page does not say where it begins: start again from the list"
        raise BadFilter(text) from error
    return dict(list(turns.items())[:1])


def _renewal(found: Found, rows: list[story_lines.StoryLine]) -> dict[str, object]:
    busy = any(row.state in UNFINISHED_STORIES for row in rows)
    return {"every": BUSY_SECONDS if busy else IDLE_SECONDS, "keys": ",".join(str(key) for key in found.keys)}


def _mark(delivery: Delivered) -> Mark:
    sign, tone, meaning = _MARKS.get(delivery.state, ("…", "quiet", "under way"))
    url = delivery.url if delivery.url and urlsplit(delivery.url).scheme in ("http", "https") else None
    return Mark(delivery.destination, sign, tone, meaning, url)
