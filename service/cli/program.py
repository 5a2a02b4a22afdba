"""The program around the commands: finds them, and turns known errors into one message and an exit code."""

import importlib
import sys

import click
from click.exceptions import NoSuchCommand

from service import VERSION
from service.cli import catalogue

_HELP = """Carry finished stories of the Story API to where they belong, once.

Settings come from the environment, destinations and routes from storyrelay.toml; `storyrelay doctor` checks
both. `storyrelay COMMAND --help` tells more of each command.

Exit codes: 0 done, 1 what was asked failed, 2 wrong use or settings, 3 already running.
"""


class Program(click.Group):
    """A group whose commands are loaded when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """All names, in the order of `--help`."""
        return [each.name for _, listed in catalogue.sections() for each in listed]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's
        """Loads the command. Raises ClickException when its code can't be loaded."""
        point = catalogue.entry_point(cmd_name)
        if point is None:
            return None
        try:
            command = point.load()
        except (ImportError, AttributeError) as error:
            raise click.ClickException(
                f"the command {cmd_name!r} can't be loaded from {point.value}: {error}. "
                "Install Storyrelay, or the package that adds the command, anew"
            ) from error
        if not isinstance(command, click.Command):
            raise click.ClickException(f"the command {cmd_name!r}: {point.value} is no click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds and loads the command; a wrong name gets the nearest right one."""
        try:
            return super().resolve_command(ctx, args)
        except KeyboardInterrupt:
            if args[0] in catalogue.UNTIL_CTRL_C:
                ctx.exit(0)  # it ends so at any time, and has not begun
            raise
        except NoSuchCommand as error:
            raise NoSuchCommand(error.command_name, possibilities=self.list_commands(ctx), ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's
        """Lists the commands by section, without loading any."""
        width = max(len(each.name) for _, listed in catalogue.sections() for each in listed)
        for title, listed in catalogue.sections():
            with formatter.section(title):
                formatter.write_dl([(each.name.ljust(width), each.summary) for each in listed])

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command; an error that people can do something about becomes a message without traceback."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            # what it knows is loaded only now: most runs never need it
            told = importlib.import_module("service.cli.failures").told(error)
            if told is None:
                raise
            raise told from error


@click.group(
    cls=Program,
    name="storyrelay",
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(VERSION, prog_name="storyrelay")
def storyrelay() -> None:
    """The group itself does nothing; its help text is made above."""


def main() -> None:
    """Runs the command line of this process and exits."""
    # a name that the terminal's encoding lacks must not end in a traceback
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    storyrelay(prog_name="storyrelay")
