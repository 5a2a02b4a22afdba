"""A story's page: what it tells in every state, to whom, and that nothing in it is taken for more than text."""

import re
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dashboard_client import SignIn
from flask.testing import FlaskClient
from relayed import KEY, START, World
from stories_told import HOSTILE, Told, told_in

from service.domain.approvals import ApprovalTimes
from service.domain.people import Role
from service.domain.states import StepKind, StepState, StoryState
from service.ledger import approvals, stories
from service.media_url import MediaUrls


@pytest.fixture
def told(world: World) -> Told:
    return told_in(world)


@pytest.fixture
def viewer(signed_in: SignIn) -> FlaskClient:
    return signed_in(Role.VIEWER)


def page(client: FlaskClient, story: str = "story-1") -> str:
    answer = client.get(f"/stories/{story}")
    assert answer.status_code == 200, answer.text
    return answer.text


def seen(text: str) -> dict[str, str]:
    """What the page says of its parts when it asks for news."""
    return dict(re.findall(r'class="seen" name="(\w+)" value="(\w+)"', text))


def test_a_settled_story_shows_its_video_facts_results_and_past(told: Told, viewer: FlaskClient) -> None:
    told.settled()
    text = page(viewer)
    assert "Done: it is at shelf." in text
    assert re.search(r'<source src="/media/[^"]+" type="video/mp4">', text)
    assert re.search(r'poster="/media/[^"]+"', text)
    assert '<track kind="captions" src="/stories/story-1/captions.vtt" srclang="de"' in text
    for fact in (
        "A fox walks home",
        "story-1",
        "sub-1",
        "German",
        "9:16",
        "team = brand",
        "ab" * 32,
        "50 used, 60 estimated",
    ):
        assert fact in text
    assert 'href="https://shelf.example/1"' in text
    for line in (
        "Submitted",
        "Webhook",
        "accepted",
        "Asked the Story API",
        "Delivery to shelf",
        "Finished",
        "Settled",
    ):
        assert line in text
    assert "What comes next" not in text


def test_the_video_plays_from_the_page_s_own_origin_in_parts(told: Told, viewer: FlaskClient) -> None:
    told.settled()
    (source,) = re.findall(r'<source src="([^"]+)"', page(viewer))
    part = viewer.get(source, headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.data) == (206, b"vide")
    captions = viewer.get("/stories/story-1/captions.vtt")
    assert (captions.data, captions.content_type) == (b"WEBVTT\n", "text/vtt; charset=utf-8")


def test_the_video_goes_on_playing_in_a_page_that_was_left_open(told: Told, viewer: FlaskClient) -> None:
    told.settled()
    tokens = re.findall(r'"/media/([^"]+)"', page(viewer))
    evening = MediaUrls("", (KEY,), lambda: time.time() + 12 * 3600)
    assert {evening.read(token).name for token in tokens} == {"video.mp4", "poster.jpg"}


@pytest.mark.parametrize(
    ("state", "values", "said"),
    [
        (StoryState.SUBMITTING, {}, "is being asked for it"),
        (StoryState.UNCONFIRMED, {"message": "no answer"}, "did not say whether it makes it: no answer"),
        (StoryState.OPEN, {"progress": 40}, "is making it (40 % done)"),
        (StoryState.SETTLING, {}, "is being fetched and checked"),
        (StoryState.FAILED, {"message": "no credit"}, "could not make it: no credit"),
        (StoryState.UNKNOWN, {}, "does not know it"),
        (StoryState.GIVEN_UP, {"message": "too long"}, "It was given up: too long"),
        (StoryState.CANCELLED, {"message": "by Ada"}, "It was cancelled: by Ada"),
    ],
)
def test_every_state_is_said_in_words(
    told: Told, viewer: FlaskClient, state: StoryState, values: dict[str, Any], said: str
) -> None:
    told.story(state, **values)
    text = page(viewer)
    assert said in text
    assert "There is no video yet." in text


def test_what_comes_next_is_told_with_its_time(told: Told, viewer: FlaskClient) -> None:
    told.story(StoryState.OPEN, next_poll_at=START + timedelta(minutes=5))
    assert "2026-03-01 12:05:00 UTC" in page(viewer)


def test_a_delivery_that_waits_for_an_answer_says_whose(
    told: Told, viewer: FlaskClient, world: World
) -> None:
    key = told.story(StoryState.SETTLING)
    told.step(key, StepKind.DELIVER, "shelf", StepState.PENDING, next_at=START + timedelta(days=3))
    with world.relay.ledger.write() as tx:
        approvals.ask(tx, key, 1, {"all": "team"}, ApprovalTimes(), START)
    assert "It is delivered to shelf: once team approves" in page(viewer)


def test_a_delivery_that_gave_up_says_what_the_place_said(told: Told, viewer: FlaskClient) -> None:
    key = told.settled()
    told.step(key, StepKind.DELIVER, "team", StepState.DEAD, last_error="404 not found at the team")
    text = page(viewer)
    assert "team gave up" in text
    assert "404 not found at the team" in text


def test_polls_that_said_the_same_are_one_line(told: Told, viewer: FlaskClient) -> None:
    key = told.story(StoryState.OPEN)
    told.fetches(key, "processing, 10 %", "processing, 10 %", "processing, 10 %", "processing, 80 %")
    text = page(viewer)
    assert text.count("processing, 10 %") == 1
    assert "3 times, until 2026-03-01 12:02:00 UTC" in text
    assert text.count("processing, 80 %") == 1


def test_hostile_text_stays_text(told: Told, viewer: FlaskClient) -> None:
    told.settled(
        title=HOSTILE,
        message=HOSTILE,
        body=f'{{"id": "story-1", "x": "{HOSTILE}"}}'.encode(),
        url="javascript:alert(1)",
    )
    text = page(viewer)
    assert "<script>alert" not in text
    assert "<img" not in text
    assert 'href="javascript' not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "unsafe" not in viewer.get("/stories/story-1").headers["Content-Security-Policy"]


def test_a_long_body_is_cut_and_can_be_had_whole(told: Told, viewer: FlaskClient) -> None:
    body = b'{"id": "story-1", "x": "' + b"y" * 9000 + b'"}'
    told.settled(body=body)
    text = page(viewer)
    assert "This is its beginning." in text
    assert "y" * 5000 not in text
    (link,) = re.findall(r'href="(/stories/story-1/webhooks/\d+)"', text)
    answer = viewer.get(link)
    assert answer.data == body
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.content_type == "application/octet-stream"
    assert viewer.get("/stories/story-1/webhooks/999").status_code == 404


def test_request_and_answer_can_be_had_whole(told: Told, viewer: FlaskClient) -> None:
    told.settled()
    assert b"A fox walks home" in viewer.get("/stories/story-1/request.json").data
    assert b'"status": "success"' in viewer.get("/stories/story-1/answer.json").data
    assert viewer.get("/stories/story-1/ledger.json").status_code == 404


def test_a_story_is_found_by_the_submission_s_id_too(told: Told, viewer: FlaskClient) -> None:
    told.settled()
    assert "Done: it is at shelf." in page(viewer, "sub-1")


def test_a_story_whose_id_no_path_takes_is_reached_by_its_submission(told: Told, viewer: FlaskClient) -> None:
    told.story(StoryState.OPEN, story_id="a/b c")
    assert 'hx-get="/stories/sub-1/live"' in page(viewer, "sub-1")


@pytest.mark.parametrize(("role", "button"), [(Role.VIEWER, False), (Role.OPERATOR, True)])
def test_a_wrong_id_gets_a_hint(signed_in: SignIn, role: Role, button: bool) -> None:
    answer = signed_in(role).get("/stories/<script>")
    assert answer.status_code == 404
    assert "storyrelay track &lt;script&gt;" in answer.text
    assert ("Adopt it" in answer.text) is button


def test_news_come_only_where_there_are_any(told: Told, viewer: FlaskClient, world: World) -> None:
    key = told.story(StoryState.OPEN)
    had = seen(page(viewer))
    assert viewer.get("/stories/story-1/live", query_string=had).status_code == 204
    with world.relay.ledger.write() as tx:
        stories.change(tx, key, START, progress=50, api_status="processing")
    news = viewer.get("/stories/story-1/live", query_string=had)
    assert sorted(re.findall(r'<section id="story-(\w+)"', news.text)) == ["facts", "state"]
    assert "50 %" in news.text
    assert viewer.get("/stories/story-1/live", query_string=had | seen(news.text)).status_code == 204


def test_a_video_that_comes_is_shown_and_one_that_plays_is_left_alone(
    told: Told, viewer: FlaskClient, world: World
) -> None:
    told.story(StoryState.SETTLING)
    had = seen(page(viewer))
    assert had["video"] == "0"
    told.video(1)
    news = viewer.get("/stories/story-1/live", query_string=had).text
    assert "<video" in news
    had |= seen(news)
    assert had["video"] == "1"
    told.video(1, revision=2)
    news = viewer.get("/stories/story-1/live", query_string=had).text
    assert "<video" not in news
    assert "A newer video is here, revision 2." in news
    assert viewer.get("/stories/story-1/live", query_string=had | seen(news)).status_code == 204


def test_it_looks_often_only_while_something_is_under_way(told: Told, viewer: FlaskClient) -> None:
    told.settled()
    assert 'hx-trigger="every 20s"' in page(viewer)
    told.step(1, StepKind.DELIVER, "team", StepState.PENDING, next_at=START)
    assert 'hx-trigger="every 2s"' in page(viewer)


def test_a_video_that_was_deleted_by_age_is_said_to_be(told: Told, viewer: FlaskClient, world: World) -> None:
    told.settled()
    with world.relay.ledger.write() as tx:
        tx.exec_driver_sql("UPDATE videos SET removed_at = '2026-03-02T00:00:00.000000+00:00'")
    assert "The video was deleted here on 2026-03-02 00:00:00 UTC" in page(viewer)


def test_a_store_that_is_away_does_not_take_the_page_away(
    told: Told, viewer: FlaskClient, tmp_path: Path, world: World
) -> None:
    told.settled()
    for file in sorted((tmp_path / "var").rglob("*.vtt")):
        file.unlink()
    assert viewer.get("/stories/story-1/captions.vtt").status_code == 404
    assert "Done: it is at shelf." in page(viewer)
