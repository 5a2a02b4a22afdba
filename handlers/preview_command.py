"""`preview`: what a destination would get, without sending it."""

import re
from collections.abc import Sequence
from pathlib import Path

import click

from handlers.previewing import NO_ROUTE, NoVideoYet, publication
from handlers.sample import NAME
from service.cli.output import note, plain, plain_lines, show_json
from service.cli.session import find_story, open_session
from service.domain.delivery import PreviewPart

_NO_NAME = re.compile(r"[^\w. ()@+=-]+")
"""What a file's name had better not have: what leads to other folders, control characters."""

_LONGEST = 200_000
"""Characters of a part that are printed; a file gets all."""


@click.command(epilog="\b\nstoryrelay preview team sample\nstoryrelay preview desk 3f9c --output mails")
@click.argument("destination", metavar="DESTINATION")
@click.argument("story", metavar="STORY")
@click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), help="Write each part into this folder."
)
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def preview(destination: str, story: str, output: Path | None, as_json: bool) -> None:
    """Show what a destination would get of a story; nothing is sent and nothing is kept.

    STORY is a story's id, or a beginning of it, or `sample` for one that there is always.
    """
    relay = open_session(reads_ledger=story != NAME)
    connector = relay.connector(destination)
    row = None if story == NAME else find_story(relay, story)
    try:
        built = publication(relay, row, destination)
    except NoVideoYet as error:
        raise click.ClickException(plain(error, 500)) from error
    parts = connector.preview(built)
    if built.route == NO_ROUTE:
        note(f"note: no route leads this story to {destination}; `storyrelay routes {story}` says why")
    written = _write(parts, output) if output is not None else []
    if as_json:
        show_json(_json(destination, built.story.id, built.route, parts, written))
    elif output is not None:
        click.echo("\n".join(plain(path, 4000) for path in written))
    else:
        click.echo("\n\n".join(_shown(part) for part in parts))


def _shown(part: PreviewPart) -> str:
    # the text is a story's, or made of it: it must not move the terminal's cursor
    return f"── {plain(part.name)} ──\n{plain_lines(part.text, _LONGEST)}"


def _write(parts: Sequence[PreviewPart], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[Path, None] = {}
    for number, part in enumerate(parts, 1):
        name = _NO_NAME.sub("-", part.name).lstrip(".-")[-100:] or f"part-{number}"
        path = folder / name
        if path in written:
            path = folder / f"{number}-{name}"
        path.write_text(part.text, encoding="utf-8", errors="replace", newline="")
        written[path] = None
    return list(written)


def _json(
    destination: str, story: str, route: str, parts: Sequence[PreviewPart], written: list[Path]
) -> dict[str, object]:
    return {
        "destination": destination,
        "story": story,
        "route": None if route == NO_ROUTE else route,
        "parts": [{"name": part.name, "text": part.text} for part in parts],
        "files": [str(path) for path in written],
    }
