"""`storyrelay emulator`: a Story API on this machine, to try things against."""

import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import click

from service.emulator.faults import KINDS, BadFault
from service.emulator.options import EmulatorOptions
from service.emulator.server import EmulatorServer

_FAULTS = "\n".join(f"  {kind.name:<22}{kind.meaning}" for kind in KINDS.values())
_HELP = f"""A Story API on this machine: all ten calls, real videos, webhooks, and faults on purpose.

Faults for one story go into the header X-Emulator-Faults of its submission (`webhook-late=3, video-cut`),
or as a marker into its idea (`[fault:webhook-late=3 video-cut]`). Faults by chance: --fault NAME[:VALUE]=CHANCE.

\b
{_FAULTS}
"""
_DEFAULTS = EmulatorOptions()


def _chance(text: str) -> tuple[str, float]:
    name, _, probability = text.rpartition("=")
    try:
        return name, float(probability)
    except ValueError:
        raise click.BadParameter(f"{text!r}: write NAME=CHANCE, e.g. webhook-never=0.3") from None


def _options(**given: object) -> EmulatorOptions:
    return replace(_DEFAULTS, **given, log=_print)  # type: ignore[arg-type]  # click checked the types


def _print(line: str) -> None:
    # paths come from anybody: an escape sequence in one must not reach the terminal
    shown = "".join(char if char.isprintable() else "\ufffd" for char in line)
    click.echo(f"{datetime.now().astimezone():%H:%M:%S} {shown}")


@click.command("emulator", help=_HELP)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8099, show_default=True, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option(
    "--key", "keys", multiple=True, default=_DEFAULTS.keys, show_default=True, help="An accepted API key."
)
@click.option("--credits", type=click.IntRange(0), help="What each key may spend. [default: without end]")
@click.option(
    "--rate", "calls_per_minute", type=click.IntRange(1), help="Calls a minute. [default: without limit]"
)
@click.option("--concurrency", type=click.IntRange(1), help="Stories at once. [default: without limit]")
@click.option(
    "--story-seconds",
    default=_DEFAULTS.story_seconds,
    show_default=True,
    type=click.FloatRange(0),
    help="How long a story takes.",
)
@click.option("--seed", type=int, help="Makes ids and chances repeat.")
@click.option(
    "--fault", "faults", multiple=True, metavar="NAME[:VALUE]=CHANCE", help="A fault by chance (0 to 1)."
)
@click.option(
    "--short-side",
    default=_DEFAULTS.short_side,
    show_default=True,
    type=click.IntRange(90, 1080),
    help="Of the videos, in pixels.",
)
@click.option("--video-bytes", type=click.IntRange(1), help="Pads every video to this size.")
@click.option(
    "--webhook-pause",
    "webhook_pauses",
    multiple=True,
    type=click.FloatRange(0),
    default=_DEFAULTS.webhook_pauses,
    show_default=True,
    help="Seconds before each repeat of a webhook.",
)
def emulator(host: str, port: int, faults: tuple[str, ...], **given: object) -> None:
    """Runs the emulator until Ctrl-C; the help text is made above."""
    try:
        chances = dict(_chance(fault) for fault in faults)
        server = EmulatorServer(_options(faults=chances, **given), host=host, port=port)
    except BadFault as error:
        raise click.BadParameter(str(error), param_hint="--fault") from None
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host}:{port}: {error.strerror}. Try --port 0"
        ) from None
    _run(server)


def _run(server: EmulatorServer) -> None:
    ended = threading.Event()
    stop: Callable[..., None] = lambda *_: ended.set()  # noqa: E731  # a signal handler of one call
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with server:
        click.echo(f"Story API emulator at {server.url} with X-Api-Key {server.key} (Ctrl-C ends it)")
        ended.wait()
