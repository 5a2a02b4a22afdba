"""`track`: adopts a story that somebody else submitted."""

import click

from service.cli.output import facts, note, plain, show, show_json, word
from service.cli.session import known_route, open_session, pass_on
from service.cli.story_json import story_json
from service.domain.states import StepKind
from service.domain.steps import Lane
from service.ledger import stories
from service.story_api import is_story_id
from service.submission import Submission


@click.command()
@click.argument("story_id", metavar="ID")
@click.option("--route", help="Pin the story to this route, whatever its conditions say.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def track(story_id: str, route: str | None, as_json: bool) -> None:
    """Adopt a story that somebody else submitted; ID is the Story API's.

    It is fetched at once, and delivered when it is finished. A story that is known already is only fetched anew.
    """
    story_id = story_id.strip()
    if not is_story_id(story_id):
        raise click.BadParameter(f"{plain(story_id, 80)!r} can't be a story's id", param_hint="ID")
    relay = open_session()
    known_route(relay, route)
    submission = Submission(relay.ledger, relay.settings, relay.webhook_urls, relay.story_api(), relay.now)
    with relay.ledger.read() as tx:
        before = stories.find(tx, story_id)
    row = submission.track(story_id, route=route)
    pass_on(relay, [Lane(StepKind.FETCH)])
    if as_json:
        show_json({"known": before is not None, "story": story_json(row)})
        return
    was = "known already; fetched anew" if before is not None else "adopted"
    show(facts([("story", row.name), ("state", word(row.state)), ("route", row.route or "")]))
    note(f"{was}. Follow it with: storyrelay show {plain(row.name)}")
