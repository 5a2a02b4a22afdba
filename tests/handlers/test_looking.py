"""`preview` and `routes`, over a ledger that a story walked through."""

import json
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest
from click.testing import CliRunner
from relayed import KEY, World

from handlers.sample import VIDEO
from handlers.sample_publication import sample_publication
from service.cli.program import storyrelay
from service.domain.delivery import DeliveryFailed, PreviewPart
from service.domain.states import StoryState
from service.ledger.tables import metadata

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOML = f"""
[outbound]
allow = ["127.0.0.0/8"]
[destinations.cms]
connector = "webhook"
url = "http://127.0.0.1:1/hook"
secret = "{SECRET}"
[destinations.shelf]
connector = "archive"
path = "published"
[destinations.other]
connector = "webhook"
url = "http://127.0.0.1:1/other"
secret = "{SECRET}"
[[routes]]
name = "upright"
when = {{ aspect_ratio = "9:16", duration = ">= 60", labels = {{ team = "brand" }} }}
destinations = ["other"]
[[routes]]
name = "all"
destinations = ["cms", "shelf"]
"""


class Looking:
    """Runs commands over the world's ledger."""

    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.env = {"STORYRELAY_HOME": str(world.home), "DATABASE_URL": url, "SECRET_KEYS": KEY}
        self.env |= {"PUBLIC_URL": "https://relay.example"}

    def run(self, *words: str):
        result = CliRunner().invoke(storyrelay, words, env=self.env)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *words: str):
        result = self.run(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def looking(make, sqlite_url):
    return Looking(make(TOML), sqlite_url)


@pytest.fixture
def walked(looking, ask, finished):
    """The id of a story that is at the shelf; nobody answers at the hook."""
    story_id = ask(title="Fox \x1b[31m & <b>")
    finished(story_id)
    looking.world.track(story_id)
    looking.world.run()
    return story_id


def ledger(world):
    """All that a command could have changed."""
    with world.relay.ledger.read() as tx:
        return {
            table.name: [tuple(row) for row in tx.execute(table.select())] for table in metadata.sorted_tables
        }


def test_the_sample_is_there_before_any_story(looking):
    before = ledger(looking.world)
    shown = looking.json("preview", "cms", "sample")
    assert (shown["destination"], shown["story"], shown["route"]) == ("cms", "story-sample", "all")
    body = json.loads(shown["parts"][0]["text"])
    assert body["data"]["story"]["title"] == "A sample"
    assert body["data"]["video"]["url"] == "https://relay.example/media/sample/video.mp4"
    assert ledger(looking.world) == before
    assert SECRET not in json.dumps(shown)


def test_a_story_is_shown_as_it_would_be_sent_and_nothing_is_kept(looking, walked, monkeypatch):
    before = ledger(looking.world)
    shown = looking.json("preview", "cms", walked[:12])
    body = json.loads(shown["parts"][0]["text"])
    assert body["data"]["story"]["id"] == walked
    assert body["data"]["route"] == "all"
    assert body["data"]["video"]["seconds"] == pytest.approx(1.0, abs=0.2)
    assert body["data"]["video"]["url"].startswith("https://relay.example/media/")
    assert ledger(looking.world) == before
    assert looking.world.story(walked).state == StoryState.SETTLING


def test_a_preview_is_the_publication_of_the_deliver_step(looking, walked, monkeypatch):
    given = []

    class Recording:
        def publish(self, publication):
            given.append(publication)
            raise DeliveryFailed("not now")

        def preview(self, publication):
            given.append(publication)
            return [PreviewPart("a.txt", "a")]

    monkeypatch.setattr("service.wiring.Relay.connector", lambda *_: Recording())
    looking.world.clock.move(10)
    looking.world.run()
    assert len(given) == 1
    looking.json("preview", "cms", walked)
    sent, shown = given
    for name in (
        "story",
        "video",
        "links",
        "route",
        "destination",
        "key",
        "message_id",
        "repeat",
        "published_at",
    ):
        assert getattr(shown, name) == getattr(sent, name), name
    assert (shown.reference, shown.elsewhere.keys()) == (sent.reference, {"shelf"})
    shown.save({"x": 1})
    shown.check()
    assert looking.world.steps(walked)["deliver/cms"].reference in (None, {})


def test_where_no_route_leads_there_it_is_shown_and_said(looking, walked):
    result = looking.run("preview", "other", walked)
    assert result.exit_code == 0
    assert f"no route leads this story to other; `storyrelay routes {walked}` says why" in result.stderr
    assert "\x1b" not in result.stdout
    assert result.stdout.startswith("── ")
    assert walked in result.stdout
    assert looking.json("preview", "other", walked)["route"] is None


def test_parts_become_files(looking, walked, tmp_path, monkeypatch):
    parts = [
        PreviewPart("mail.html", "<p>é\ud800</p>\r\n"),
        PreviewPart("../../etc/mail.html", "two"),
        PreviewPart("etc-mail.html", "three"),
        PreviewPart("..", "four"),
        PreviewPart("a\x00b\x1b" + "c" * 300, "five"),
    ]
    monkeypatch.setattr("handlers.connectors.webhook.WebhookConnector.preview", lambda *_: parts)
    folder = tmp_path / "deep" / "mails"
    result = looking.run("preview", "cms", walked, "--output", str(folder))
    assert result.exit_code == 0
    names = [Path(line).name for line in result.stdout.splitlines()]
    assert names == ["mail.html", "etc-mail.html", "3-etc-mail.html", "part-4", "c" * 100]
    assert [(folder / name).read_bytes() for name in names] == [
        b"<p>\xc3\xa9?</p>\r\n", b"two", b"three", b"four", b"five",
    ]  # fmt: skip
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    again = looking.json("preview", "cms", walked, "--output", str(folder))
    assert [Path(path).name for path in again["files"]] == names


def test_what_is_not_there_is_told(looking, ask):
    assert looking.run("preview", "cmss", "sample").exit_code == 2
    assert "did you mean 'cms'" in looking.run("preview", "cmss", "sample").stderr
    assert looking.run("preview", "cms", "no-such-story").exit_code == 1
    story_id = ask()
    looking.world.track(story_id)
    result = looking.run("preview", "cms", story_id)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "has no video yet: it is open" in result.stderr


def test_routes_tell_why_not(looking, walked):
    upright, everything = looking.json("routes", walked)
    assert (upright["taken"], upright["destinations"]) == (False, ["other"])
    assert upright["why_not"] == [
        "wants aspect_ratio = '9:16'; it is '16:9'",
        "wants duration = >= 60; it is 1",
        "wants labels.team = 'brand'; it is not known",
    ]
    assert everything == {"route": "all", "taken": True, "destinations": ["cms", "shelf"], "why_not": []}
    printed = looking.run("routes", walked).stdout.splitlines()
    assert printed[1].split()[:3] == ["upright", "no", "other"]
    assert printed[2].split() == ["all", "yes", "cms,", "shelf"]


def test_a_pinned_story_takes_its_route_alone(looking, ask):
    story_id = ask()
    looking.world.track(story_id, route="upright")
    assert [(each["route"], each["taken"]) for each in looking.json("routes", story_id)] == [
        ("upright", True), ("all", False),
    ]  # fmt: skip
    assert looking.json("routes", story_id)[1]["why_not"] == ["the story is pinned to upright"]
    (looking.world.home / "storyrelay.toml").write_text(TOML.replace('name = "upright"', 'name = "portrait"'))
    gone = looking.run("routes", story_id)
    assert gone.exit_code == 2
    assert "there is no route 'upright'" in gone.stderr


def test_a_story_that_no_route_takes_is_said_to_go_nowhere(looking):
    (looking.world.home / "storyrelay.toml").write_text(TOML.partition('[[routes]]\nname = "all"')[0])
    result = looking.run("routes", "sample")
    assert result.exit_code == 0
    assert "sent to nobody" in result.stderr
    assert [each["taken"] for each in looking.json("routes", "sample")] == [False]


def test_the_sample_has_files_that_open():
    files = sample_publication("https://relay.example", "all", "cms", datetime(2026, 1, 2, tzinfo=UTC)).files
    with files.video() as video:
        assert video.stat().st_size == VIDEO.bytes
    poster = files.poster()
    assert poster is not None
    with poster as picture, av.open(str(picture)) as opened:
        frame = next(opened.decode(video=0))
        assert (frame.width, frame.height) == (320, 180)
    assert "It went with the wind." in (files.captions() or "")
    assert not video.exists()
    assert not picture.exists()


@pytest.mark.parametrize("words", [("preview", "cms"), ("routes",)])
def test_the_sample_needs_no_ledger(looking, tmp_path, words):
    absent = tmp_path / "var" / "none" / "ledger.sqlite3"
    looking.env["DATABASE_URL"] = f"sqlite:///{absent}"
    assert looking.json(*words, "sample")
    assert not absent.parent.exists()
    assert "there is no ledger yet" in looking.run(*words, "3f9c").stderr


def test_an_unknown_destination_is_answered_with_those_that_there_are(looking):
    assert "there are cms, other, shelf" in looking.run("preview", "nope", "sample").stderr
