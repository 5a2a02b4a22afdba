"""`storyrelay demo`: the whole service with an emulated Story API, and eight stories that meet every misfortune."""

import logging.config
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console

from service.cli.output import show_json
from service.cli.up import answer_of, await_ready, only_one, start
from service.cli.writing import unwritable
from service.demo.checking import problems
from service.demo.environment import emulator_arguments, environment, free_ports
from service.demo.folder import DemoFolder, ForeignFolder
from service.demo.places import Places, open_places
from service.demo.progress import Progress
from service.demo.report import Report, shown
from service.demo.stories import WISHES
from service.demo.submitting import submit_all
from service.demo.watching import look
from service.observability import configure_logging, logging_tree
from service.settings import load_settings, make_secret_keys
from service.supervising import Program, Supervisor
from service.wiring import Relay, open_relay

WIDE = 120
"""Columns where nobody looks at a terminal."""

STORIES_SECONDS = 50.0
"""How long the stories may take together, from the first submission on."""


@click.command()
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="The demo's folder, made anew each time.  [default: var/demo]",
)
@click.option("--keep", is_flag=True, help="Leave everything running afterwards, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print what came of it for programs.")
@click.pass_context
def demo(context: click.Context, home: Path | None, keep: bool, as_json: bool) -> None:
    """Runs eight stories through everything, on this machine alone."""
    folder = DemoFolder((home or _default_home()).resolve())
    console = Console(stderr=as_json, highlight=False, width=_width(sys.stderr if as_json else sys.stdout))
    try:
        folder.claim()
    except ForeignFolder as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.UsageError(unwritable(error)) from error
    with only_one(folder.path):
        folder.clear()
        report = _perform(folder, console, keep=keep, as_json=as_json)
    if report.problems:
        context.exit(1)


def _width(stream: TextIO) -> int | None:
    return None if stream.isatty() else WIDE


def _default_home() -> Path:
    return Path(os.environ.get("STORYRELAY_HOME") or ".").expanduser() / "var" / "demo"


def _perform(folder: DemoFolder, console: Console, *, keep: bool, as_json: bool) -> Report:
    web_port, emulator_port = free_ports(2)
    env = environment(os.environ, folder, web_port, emulator_port)
    supervisor = Supervisor(env, logs=folder.logs)  # first: it takes the signals, before there are threads
    _log_to_file(folder)
    console.print(f"Starting Storyrelay and what it talks to in {shown(folder.path)} …", style="dim")
    with open_places(folder) as places, _running(supervisor, folder, emulator_port) as relay:
        report = _stories(supervisor, relay, places, folder, console)
        if as_json:
            show_json(report.as_json())
        else:
            report.show(console)
        if keep:
            console.print(
                f"Still running: STORYRELAY_HOME={shown(folder.path)} storyrelay stories. Ctrl-C ends it."
            )
            supervisor.run()
    return report


@contextmanager
def _running(supervisor: Supervisor, folder: DemoFolder, emulator_port: int) -> Iterator[Relay]:
    """The emulator and all that `up` runs, within the block."""
    make_secret_keys(folder.path)
    settings = load_settings(supervisor.env)
    try:
        command = [sys.executable, "-m", "service.cli", *emulator_arguments(emulator_port)]
        supervisor.start(Program("emulator", command))
        start(supervisor, settings)
        control = f"{settings.story_api_url}/_emulator/faults"
        await_ready(supervisor, "emulator", lambda: answer_of(control) is not None)
        relay = open_relay(supervisor.env)
        yield relay
        relay.ledger.close()
    finally:
        supervisor.stop()
        (folder.path / "var" / "redis_url").unlink(missing_ok=True)


def _stories(
    supervisor: Supervisor, relay: Relay, places: Places, folder: DemoFolder, console: Console
) -> Report:
    """Submits the stories and watches them to their end. Raises Abort on Ctrl-C."""
    began = time.monotonic()
    with ThreadPoolExecutor(1, "submitting") as pool, Progress(console) as progress:
        submitted = pool.submit(
            submit_all, relay, WISHES, lambda: "the demo was ended" if supervisor.told_to_stop else None
        )

        def is_over() -> bool:
            seen, seconds = look(relay.ledger, WISHES), time.monotonic() - began
            progress.show(seen, seconds)
            failed = submitted.done() and submitted.exception() is not None
            return failed or seconds > STORIES_SECONDS or all(story.is_over for story in seen)

        supervisor.run(until=is_over)
        if supervisor.told_to_stop:
            raise click.Abort
        submitted.result()
    seen = look(relay.ledger, WISHES)
    return Report(seen, problems(seen, places, folder), folder, time.monotonic() - began)


def _log_to_file(folder: DemoFolder) -> None:
    """Our own log goes beside those of the processes: the terminal is for the table."""
    configure_logging("text", "info", "demo")
    tree = logging_tree("text", "info", "demo")
    tree["handlers"]["stderr"] = {
        "class": "logging.FileHandler", "filename": folder.logs / "demo.log", "formatter": "own",
    }  # fmt: skip
    tree["loggers"]["mail.log"] = {"level": "WARNING"}  # the mailbox's, which tells every line of SMTP
    logging.config.dictConfig(tree)
