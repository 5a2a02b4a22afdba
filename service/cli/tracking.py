"""`track`: adopts a story that somebody else submitted."""

import click

from service.cli.output import facts, note, plain, plain_lines, show, show_json, word
from service.cli.session import known_route, open_session, pass_on
from service.domain.people import SHELL
from service.domain.states import StepKind
from service.domain.steps import Lane
from service.ledger import stories
from service.ledger.stories import StoryRow
from service.settings import SettingsError
from service.story_api import NotFound, StoryApiError, is_story_id
from service.story_json import story_json
from service.wiring import Relay


class NotAdopted(click.ClickException):
    """The story was not seen at the Story API: nothing was written."""

    def __init__(self, message: str) -> None:
        super().__init__(plain_lines(message))


@click.command()
@click.argument("story_id", metavar="ID")
@click.option("--route", help="Pin the story to this route, whatever its conditions say.")
@click.option("--unseen", is_flag=True, help="Adopt it without asking the Story API first.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def track(story_id: str, route: str | None, unseen: bool, as_json: bool) -> None:
    """Adopt a story that somebody else submitted; ID is the Story API's.

    The Story API is asked whether it has the story. Then it is fetched, and delivered when it is finished. A
    story that is known already is only fetched anew.
    """
    story_id = story_id.strip()
    if not is_story_id(story_id):
        raise click.BadParameter(f"{plain(story_id, 80)!r} can't be a story's id", param_hint="ID")
    relay = open_session()
    known_route(relay, route)
    before = _known(relay, story_id)
    if before is None and not unseen:
        story_id = _seen(relay, story_id)
        before = _known(relay, story_id)
    row = relay.submission().track(story_id, route=route, by=SHELL)
    pass_on(relay, [Lane(StepKind.FETCH)])
    if as_json:
        show_json({"known": before is not None, "story": story_json(row)})
        return
    was = "known already; fetched anew" if before is not None else "adopted"
    show(facts([("story", row.name), ("state", word(row.state)), ("route", row.route or "")]))
    note(f"{was}. Follow it with: storyrelay show {plain(row.name)}")


def _known(relay: Relay, story_id: str) -> StoryRow | None:
    with relay.ledger.read() as tx:
        return stories.find(tx, story_id)


def _seen(relay: Relay, story_id: str) -> str:
    """The story's id as the Story API writes it. Raises SettingsError, NotAdopted: a slip must not become a row."""
    if not relay.settings.story_api_key.get_secret_value():
        raise SettingsError(
            "wrong settings:\n  STORY_API_KEY: is not set, so the Story API can't be asked whether it has the story: "
            "take the key from the provider's console, or adopt the story without a look by --unseen"
        )
    try:
        return relay.story_api().get(story_id).id
    except NotFound as error:
        raise NotAdopted(f"nothing was adopted, for the Story API has no such story: {error}") from error
    except StoryApiError as error:
        raise NotAdopted(
            f"nothing was adopted, for the Story API did not say whether it has the story: {error} "
            "--unseen adopts it without a look"
        ) from error
