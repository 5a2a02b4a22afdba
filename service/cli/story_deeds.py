"""`fetch`, `cancel` and `forget`: what people may do with one story beside replaying and withdrawing it."""

from collections.abc import Callable

import click

from service.cli.failures import Failure
from service.cli.output import note, plain, show_json
from service.cli.session import find_story, open_session
from service.domain.people import SHELL
from service.ledger.stories import StoryRow
from service.story_actions import Acted, ActionRefused, StoryActions
from service.story_json import story_json
from service.wiring import Relay

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print for programs.")
_YES = click.option("--yes", is_flag=True, help="Do not ask.")
_STORY = click.argument("story", metavar="ID")


@click.command(epilog="\b\nstoryrelay fetch 3f9c")
@_STORY
@_AS_JSON
def fetch(story: str, as_json: bool) -> None:
    """Ask the Story API at once how a story stands.

    ID is the story's or the submission's, or a beginning of it that is the only one.
    """
    relay, row = _find(story)
    _do(relay, lambda actions: actions.fetch_now(row.id), as_json=as_json)


@click.command(epilog="\b\nstoryrelay cancel 3f9c")
@_STORY
@_YES
@_AS_JSON
def cancel(story: str, yes: bool, as_json: bool) -> None:
    """Stop a story that is on its way: it is polled, downloaded and delivered no more.

    The Story API may go on making it. What is published stays until it is withdrawn.
    ID is the story's or the submission's, or a beginning of it that is the only one.
    """
    relay, row = _find(story)
    _sure(f"Stop the story {_named(row)}?", yes=yes)
    _do(relay, lambda actions: actions.cancel(row.id), as_json=as_json)


@click.command(epilog="\b\nstoryrelay forget 3f9c")
@_STORY
@click.option(
    "--at-the-api", "at_the_api", is_flag=True, help="Delete it at the Story API instead, for good."
)
@_YES
@_AS_JSON
def forget(story: str, at_the_api: bool, yes: bool, as_json: bool) -> None:
    """Delete a story here, with its files; or at the Story API, which then asks twice.

    What was published stays where it is. Neither can be undone.
    ID is the story's or the submission's, or a beginning of it that is the only one; with --at-the-api --yes the
    whole one of the Story API.
    """
    relay, row = _find(story)
    if at_the_api:
        typed = _typed(row, story, yes=yes)
        _do(relay, lambda actions: actions.delete_at_api(row.id, typed), as_json=as_json)
        return
    _sure(f"Delete the story {_named(row)} here, with its files?", yes=yes)
    _do(relay, lambda actions: actions.forget(row.id), as_json=as_json)


def _find(story: str) -> tuple[Relay, StoryRow]:
    relay = open_session()
    return relay, find_story(relay, story)


def _named(row: StoryRow) -> str:
    title = plain(row.title, 60)
    return f"{plain(row.name)} ({title})" if title else plain(row.name)


def _sure(question: str, *, yes: bool) -> None:
    if not yes:
        click.confirm(question, abort=True, err=True)


def _typed(row: StoryRow, story: str, *, yes: bool) -> str:
    """The story's id as it was written by who is sure."""
    if yes:
        return story
    _sure(f"Delete the story {_named(row)} at the Story API, for good?", yes=False)
    typed: str = click.prompt("Type its id to be sure", err=True)
    return typed


def _do(relay: Relay, act: Callable[[StoryActions], Acted], *, as_json: bool) -> None:
    try:
        acted = act(relay.story_actions(SHELL))
    except ActionRefused as error:
        raise Failure(plain(error)) from error
    if as_json:
        shown = story_json(acted.story) if acted.story is not None else None
        show_json({"changed": acted.changed, "told": list(acted.sentences), "story": shown})
        return
    for sentence in acted.sentences:
        note(plain(sentence))
