"""`replay`: does what ended, or went wrong, once more."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from service.cli.bulk_replays import Window, replay_many, window_options
from service.cli.output import note, plain, show, show_json, table
from service.cli.session import find_story, open_session, pass_on
from service.domain.people import SHELL
from service.domain.states import Circuit, StepKind
from service.domain.steps import Lane
from service.ledger import lanes
from service.problems import hint
from service.replaying import Redone, Replayed, Replaying
from service.story_json import story_json
from service.wiring import Relay

Command = Callable[..., Any]

_TOLD = {
    Redone.REPEATED: "due again",
    Redone.MADE: "due: the destination did not have it yet",
    Redone.HASTENED: "its next try is now",
    Redone.UNDER_WAY: "left alone: it is queued or running just now",
    Redone.NOT_CONFIGURED: "left out: it is no longer in storyrelay.toml",
    Redone.ALLOWED: "withdrawn no more: with its video its routes decide",
}
_WHAT = {
    StepKind.FETCH: "ask the Story API",
    StepKind.DOWNLOAD: "download the video",
    StepKind.DELIVER: "deliver to",
}


def destinations_option(told: str) -> Callable[[Command], Command]:
    """The option that names destinations, as each command that acts on deliveries has it."""
    return click.option("--destination", "destinations", multiple=True, help=told, metavar="NAME")


@click.command(
    epilog="\b\nstoryrelay replay 3f9c --destination team\nstoryrelay replay --from 24h --state dead --dry-run"
)
@click.argument("story", metavar="ID", required=False)
@destinations_option("Deliver to this one only; repeatable for one story.")
@window_options
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def replay(story: str | None, destinations: tuple[str, ...], as_json: bool, **window: Any) -> None:
    """Do what ended, or went wrong, once more.

    A story with a video is delivered again, to every destination that had it or to those that are named. One
    whose video could not be had is downloaded again. Any other is asked for at the Story API again.
    ID is the story's or the submission's, or a beginning of it that is the only one.

    Without ID, many stories: those of a time and a state, delivered again where today's routes lead. Look first
    with --dry-run.
    """
    relay = open_session()
    check_destinations(relay, destinations)
    many = Window(**window)
    if many.is_given == (story is not None):
        raise click.UsageError("say which story by its ID, or which stories by --from and --state")
    if story is None:
        replay_many(relay, many, destinations, as_json=as_json)
        return
    row = find_story(relay, story)
    replaying = Replaying(relay.ledger, relay.settings, relay.configuration, relay.now)
    replayed = replaying.replay(row.id, destinations, by=SHELL)
    set_going(relay, replayed.lanes)
    _show(replayed, as_json=as_json)
    if replayed.in_vain:
        click.get_current_context().exit(1)


def check_destinations(relay: Relay, destinations: tuple[str, ...]) -> None:
    """Raises BadParameter for a name that is not configured."""
    known = sorted(relay.configuration.destinations)
    for name in destinations:
        if name not in known:
            raise click.BadParameter(
                f"there is no destination {plain(name, 80)!r} in {relay.settings.config_path}{hint(name, known)}; "
                f"there are {', '.join(known) or 'none'}",
                param_hint="--destination",
            )


def set_going(relay: Relay, wanted: list[Lane]) -> None:
    """Enqueues what is due in these lanes now, and says which of them let nothing pass."""
    if wanted:
        pass_on(relay, wanted)
    _warn_of_closed(relay, wanted)


def _warn_of_closed(relay: Relay, wanted: list[Lane]) -> None:
    """Says which of these lanes are paused or off, and what to do."""
    with relay.ledger.read() as tx:
        states = {state.lane: state for state in lanes.all_lanes(tx)}
    for lane in wanted:
        state = states.get(lane)
        if state is not None and state.circuit != Circuit.CLOSED:
            is_off = state.circuit == Circuit.OFF
            note(f"note: {lane} is {'switched off' if is_off else 'paused'}: {state.message or state.reason}")
            if state.is_paused:
                note("      it is sent once somebody resumes it, on the dashboard's page of destinations")
            elif lane.destination:
                note(f"      once it is mended: storyrelay send-test {lane.destination}")


def _show(replayed: Replayed, *, as_json: bool) -> None:
    if as_json:
        show_json(
            {
                "story": story_json(replayed.story),
                "actions": [_json(replayed, n) for n in range(len(replayed.actions))],
            }
        )
        return
    rows = [
        (f"{_WHAT.get(action.lane.kind, action.lane.kind)} {action.lane.destination}", _TOLD[action.done])
        for action in replayed.actions
    ]
    show(table(("what", "now"), rows))
    note(
        f"Story {plain(replayed.story.name)} is {replayed.story.state}: storyrelay show {plain(replayed.story.name)}"
    )


def _json(replayed: Replayed, number: int) -> Mapping[str, str | None]:
    action = replayed.actions[number]
    return {"kind": action.lane.kind, "destination": action.lane.destination or None, "done": action.done}
