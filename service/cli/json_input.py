"""JSON that people type or keep in files."""

import json
import sys
from pathlib import Path
from typing import Any

import click

LARGEST_FILE = 1 << 20
"""Bytes; a request with elements has a few thousand."""


class JsonText(click.ParamType[Any]):
    """A JSON object, typed or in a file."""

    name = "JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Reads the text, or the file that it names. Raises BadParameter."""
        del ctx
        if not isinstance(value, str):
            return value
        named = f"--{param.name.replace('_', '-')}" if param and param.name else "JSON"
        if value.startswith("@"):
            return read_json(value[1:], named)
        return _parse(value, named, "this")


def file_shown(file: str) -> str:
    """How messages name a file; '-' is standard input."""
    return "standard input" if file == "-" else repr(file)


def read_json(file: str, option: str) -> Any:
    """The JSON value in a file; '-' is standard input. Raises BadParameter, which names the option."""
    try:
        if file == "-":
            content = sys.stdin.buffer.read(LARGEST_FILE + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise click.BadParameter(f"{file!r} can't be read: {reason}", param_hint=option) from error
    if len(content) > LARGEST_FILE:
        raise click.BadParameter(f"{file!r} is larger than {LARGEST_FILE} bytes", param_hint=option)
    try:
        return _parse(content.decode("utf-8-sig"), option, file_shown(file))
    except UnicodeDecodeError as error:
        raise click.BadParameter(
            f"{file!r} is no UTF-8 text: look at byte {error.start}", param_hint=option
        ) from error


def _parse(text: str, option: str, what: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise click.BadParameter(f"{what} is no JSON: {error.msg} at {where}", param_hint=option) from error
    except (RecursionError, ValueError) as error:
        raise click.BadParameter(f"{what} is no JSON: {error}", param_hint=option) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")
