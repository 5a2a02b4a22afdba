"""Draws docs/approval-slack.png: a question in Slack while it is open, and when it was answered.

    PYTHONPATH=tests/parts:tests/pictures .venv/bin/python tests/pictures/slack_question.py        (needs chromium)

Asked by the real steps, answered by clicks as Slack sends them, and drawn from what the stand-in then has.
"""

import tempfile
from pathlib import Path

import sqlalchemy as sa
from placed import finished
from relayed import World, make_world
from slack_message import channel_of, page_of, shoot

from handlers.video_file import poster, probe
from service.domain.states import StepKind
from service.domain.steps import Lane
from service.emulator.film import FilmPlan, draw_film
from service.ledger import approvals, steps
from service.ledger.tables import videos
from service.question_minding import QuestionMinding
from service.stand_ins.slack import SlackStandIn
from service.stand_ins.slack_clicks import Clicked, click
from service.web import create_app

PICTURE = Path(__file__).parents[2] / "docs" / "approval-slack.png"
APPROVE, REJECT = "storyrelay_approve", "storyrelay_reject"
SECRET = "the-apps-secret"
TOML = """
[destinations.team]
connector = "slack"
token = "xoxb-stand-in"
channel = "#videos"
api_url = "{slack}"
upload = "poster"
rate = "1000/s"
signing_secret = "the-apps-secret"
[destinations.cms]
connector = "archive"
path = "cms"
[destinations.shelf]
connector = "archive"
path = "shelf"
[[routes]]
name = "all"
approval = "team"
destinations = ["cms", "shelf"]
"""


def main() -> None:
    """Has a story asked about, reminded of and approved; draws the channel before and after."""
    with tempfile.TemporaryDirectory() as name, SlackStandIn(folder=Path(name) / "files") as slack:
        home = Path(name)
        world = make_world(home, f"sqlite:///{home}/ledger.sqlite3", TOML.format(slack=slack.api_url), {})
        make_story(world, home)
        world.run()
        world.clock.move(4 * 3600)
        QuestionMinding(world.relay.ledger, world.relay.configuration, world.relay.now).run()
        world.run()
        asked = channel_of(slack, home / "files")
        (story,) = [message for message in slack.messages if not message.is_reply]
        question, at = slack.replies(story)[0], world.clock().timestamp()
        yes = click(question, APPROVE, secret=SECRET, at=at)
        no = click(question, REJECT, secret=SECRET, at=at, user=("U0PERSON02", "ben"))
        for each in (yes, no):
            send(world, each)
            world.run()
        answered = channel_of(slack, home / "files")
        page = home / "page.html"
        parts = f"<h2>Asked, and reminded after four hours</h2>{asked}<h2>Approved, and clicked again</h2>{answered}"
        page.write_text(page_of(parts), encoding="utf-8")
        shoot(page, PICTURE, 1290)
        world.relay.ledger.close()


def make_story(world: World, home: Path) -> None:
    """A story with a drawn video, that is to go to all three."""
    finished(world, deliver=False)
    film, store = home / "film.mp4", world.relay.video_store()
    draw_film(FilmPlan("The fox", ("A fox walks home", "Through the snow"), 4, "16:9"), 360, film)
    facts = probe(film)
    poster(film, facts, home / "poster.jpg")
    store.put_file("story-1/r1/poster.jpg", home / "poster.jpg", content_type="image/jpeg", move=False)
    store.put_file("story-1/r1/video.mp4", film, content_type="video/mp4", move=False)
    wanted = [steps.NewStep(Lane(StepKind.DELIVER, to), 1, 1, "all") for to in ("team", "cms", "shelf")]
    with world.relay.ledger.write() as tx:
        tx.execute(sa.text("UPDATE stories SET title = 'A fox walks home through the snow'"))
        shape = {"width": facts.width, "height": facts.height, "seconds": facts.seconds}
        tx.execute(sa.update(videos).values(has_poster=True, bytes=film.stat().st_size, **shape))
        tx.execute(sa.text("UPDATE stories SET snapshot = replace(snapshot, '9:16', '16:9')"))
        steps.add(tx, wanted, world.clock())
        approvals.ask(tx, 1, 1, {"all": "team"}, world.relay.configuration.approval, world.clock())


def send(world: World, clicked: Clicked) -> None:
    """As Slack sends it."""
    client = create_app(world.relay).test_client()
    answer = client.post("/slack/interactions", data=clicked.body, headers=dict(clicked.headers))
    if answer.status_code != 200:
        raise RuntimeError(f"the click was answered {answer.status}")


if __name__ == "__main__":
    main()
