"""Every command: where it stands in `--help`, where its code is, and what it does in one line.

Code is loaded only for the command that is asked for, so that the others start fast and a broken one breaks
nothing but itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint

from service.entry_points import installed

GROUP = "storyrelay.commands"
"""The entry-point group of commands that live outside of this package."""


@dataclass(frozen=True)
class Listed:
    """A command in `--help`; `target` is `module:attribute`, '' for one of the entry-point group."""

    name: str
    summary: str
    target: str = ""


SECTIONS: tuple[tuple[str, tuple[Listed, ...]], ...] = (
    (
        "Stories",
        (
            Listed("submit", "Ask the Story API for a video.", "service.cli.submitting:submit"),
            Listed("estimate", "Price a video before it is asked for.", "service.cli.submitting:estimate"),
            Listed("track", "Adopt a story that somebody else submitted.", "service.cli.tracking:track"),
            Listed("stories", "List the stories, newest first.", "service.cli.listing:stories"),
            Listed("show", "Tell all about one story.", "service.cli.showing:show_story"),
            Listed("routes", "Tell which routes a story takes, and why not."),
            Listed("replay", "Do what ended, or went wrong, once more.", "service.cli.replays:replay"),
            Listed("withdraw", "Take a story back.", "service.cli.withdrawals:withdraw"),
            Listed("fetch", "Ask at once how a story stands.", "service.cli.story_deeds:fetch"),
            Listed("cancel", "Stop a story that is on its way.", "service.cli.story_deeds:cancel"),
            Listed("forget", "Delete a story.", "service.cli.story_deeds:forget"),
        ),
    ),
    (
        "Places and care",
        (
            Listed("doctor", "Check everything and say what to do.", "service.cli.doctor:doctor"),
            Listed("digest", "Tell what happened on a day.", "service.cli.digests:digest"),
            Listed("send-test", "Send a test to one destination.", "service.cli.sending:send_test"),
            Listed("preview", "Show what a destination would get."),
            Listed("webhook-url", "Print a route's webhook URL.", "service.cli.addresses:webhook_url"),
            Listed("user", "Make accounts for the dashboard.", "service.cli.users:user"),
            Listed("token", "Make tokens for the JSON API.", "service.cli.tokens:token"),
            Listed("prune", "Delete what has been kept for long enough.", "service.cli.pruning:prune"),
            Listed("reconcile", "Look once for what webhooks missed.", "service.cli.reconciling:reconcile"),
        ),
    ),
    (
        "Processes",
        (
            Listed("up", "Run everything on this machine.", "service.cli.up:up"),
            Listed("demo", "Show it all with an emulated Story API.", "service.cli.demo:demo"),
            Listed("worker", "Work on what is queued."),
            Listed(
                "scheduler", "Sweep and reconcile, until told to stop.", "service.cli.processes:scheduler"
            ),
            Listed("migrate", "Bring the ledger up to date.", "service.cli.processes:migrate"),
            Listed("emulator", "Run a Story API for trials.", "service.emulator.command:emulator"),
        ),
    ),
)
UNTIL_CTRL_C = ("up", "worker", "scheduler", "emulator")
"""Commands for which Ctrl-C is the wished end, and no failure."""

EXTENSIONS = "Extensions"


def sections() -> Iterator[tuple[str, list[Listed]]]:
    """The commands that are there, by section; those of other packages come last, under their own heading."""
    added = installed(GROUP)
    named = {each.name for _, listed in SECTIONS for each in listed}
    for title, listed in SECTIONS:
        yield title, [each for each in listed if each.target or each.name in added]
    others = [Listed(name, _origin(added[name])) for name in sorted(added.keys() - named)]
    if others:
        yield EXTENSIONS, others


def entry_point(name: str) -> EntryPoint | None:
    """Where the code of the command of this name is, None where there is no such command."""
    for _, listed in SECTIONS:
        for each in listed:
            if each.name == name and each.target:
                return EntryPoint(name, each.target, GROUP)
    return installed(GROUP).get(name)


def _origin(point: EntryPoint) -> str:
    return f"Added by {point.dist.name}." if point.dist is not None else f"Added by {point.module}."
