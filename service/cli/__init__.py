"""The command line: `storyrelay`."""

from service.cli.program import main

__all__ = ["main"]
