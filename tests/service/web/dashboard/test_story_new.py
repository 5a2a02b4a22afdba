"""Asking for a video on the dashboard: checked and priced before, sent once however often the form is."""

import re
from collections.abc import Iterator

import pytest
from dashboard_client import SignIn, post
from flask.testing import FlaskClient
from pydantic import SecretStr
from relayed import World
from scripted_api import ScriptedApi, scripted_api

from service.domain.people import Role
from service.domain.states import StoryState
from service.ledger import people, story_list
from service.ledger.stories import StoryRow
from service.ledger.story_list import Sought

FOX = {"kind": "idea", "text": "A fox walks home", "scene_count": "2", "scene_duration": "4"}


@pytest.fixture
def api(world: World) -> Iterator[ScriptedApi]:
    with scripted_api() as api:
        object.__setattr__(world.relay.settings, "story_api_url", api.url)
        object.__setattr__(world.relay.settings, "story_api_key", SecretStr("k"))
        api.answer = lambda _: (200, {"id": "story-1", "status": "new", "used_credits": 80})
        yield api


@pytest.fixture
def operator(signed_in: SignIn) -> FlaskClient:
    return signed_in(Role.OPERATOR)


def drawn(client: FlaskClient) -> str:
    """The submission that a fresh form is for."""
    (found,) = re.findall(r'name="submission" value="([^"]+)"', client.get("/stories/new").text)
    return str(found)


def rows(world: World) -> list[StoryRow]:
    with world.relay.ledger.read() as tx:
        return story_list.newest(tx, Sought(), 10)


def test_a_story_is_priced_first_and_then_asked_for(
    operator: FlaskClient, api: ScriptedApi, world: World
) -> None:
    submission = drawn(operator)
    priced = post(operator, "/stories/new", submission=submission, do="price", **FOX)
    assert "80 credits" in priced.text
    assert (api.bodies, rows(world)) == ([], [])
    more = {"labels": "team=brand, season=winter", "route": "all", "language": "German", "narrator": "Lily"}
    answer = post(operator, "/stories/new", submission=submission, do="submit", title="Fox", **FOX, **more)
    assert answer.location == f"/stories/{submission}"
    assert "The video is asked for, at about 80 credits." in operator.get(answer.location).text
    (row,) = rows(world)
    assert (row.story_id, row.route, row.labels) == ("story-1", "all", {"team": "brand", "season": "winter"})
    assert api.bodies[0]["audio_option"] == {"narrator": "Lily"}
    assert {"idea": "A fox walks home", "scene_count": 2, "language": "German"}.items() <= api.bodies[
        0
    ].items()
    with world.relay.ledger.read() as tx:
        assert ("the-operator", "submit") in [(deed.who, deed.action) for _, deed in people.deeds(tx, 9)]


def test_a_form_that_is_sent_twice_is_one_story(
    operator: FlaskClient, api: ScriptedApi, world: World
) -> None:
    submission = drawn(operator)
    for _ in range(2):
        answer = post(operator, "/stories/new", submission=submission, do="submit", **FOX)
        assert answer.location == f"/stories/{submission}"
    assert (len(api.bodies), len(rows(world))) == (1, 1)
    with world.relay.ledger.read() as tx:
        assert len([1 for _, deed in people.deeds(tx, 9) if deed.action == "submit"]) == 1


def test_images_take_their_own_fields(operator: FlaskClient, api: ScriptedApi) -> None:
    two = "https://a.example/1.jpg\nhttps://a.example/2.jpg"
    post(
        operator,
        "/stories/new",
        submission=drawn(operator),
        do="submit",
        kind="images",
        text=two,
        scene_count="9",
    )
    assert api.bodies[0]["image_urls"] == two.split()
    assert "scene_count" not in api.bodies[0]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"text": ""}, "idea"),
        ({"kind": "url", "text": "no address"}, "idea"),
        ({"kind": "nonsense"}, "kind"),
        ({"scene_duration": "99"}, "scene_duration"),
        ({"scene_count": "two"}, "scene_count"),
        ({"labels": "team"}, "write NAME=VALUE"),
        ({"route": "nowhere"}, "There is no route"),
        ({"submission": "x"}, "was not whole"),
    ],
)
def test_what_can_t_be_asked_is_said_and_kept_in_the_form(
    operator: FlaskClient, api: ScriptedApi, world: World, form: dict[str, str], said: str
) -> None:
    whole = {"submission": drawn(operator), "do": "submit", **FOX, "title": "<b>Fox</b>", **form}
    answer = post(operator, "/stories/new", **whole)
    assert answer.status_code == 400
    assert said in answer.text
    assert 'value="&lt;b&gt;Fox&lt;/b&gt;"' in answer.text
    assert (api.bodies, rows(world)) == ([], [])


def test_a_refusal_says_why_and_the_next_try_is_another_submission(
    operator: FlaskClient, api: ScriptedApi, world: World
) -> None:
    api.answer = lambda _: (402, {"code": "INSUFFICIENT_CREDIT", "message": "no credit left"})
    submission = drawn(operator)
    answer = post(operator, "/stories/new", submission=submission, do="submit", **FOX)
    assert "no credit left" in answer.text
    assert f'value="{submission}"' not in answer.text
    assert rows(world)[0].state == StoryState.CANCELLED


def test_a_call_without_an_answer_is_told_and_not_repeated_without_a_word(
    operator: FlaskClient, api: ScriptedApi, world: World
) -> None:
    api.answer = lambda _: None
    answer = post(operator, "/stories/new", submission=drawn(operator), do="submit", **FOX)
    assert "may or may not be making" in operator.get(answer.location).text
    again = post(operator, "/stories/new", submission=drawn(operator), do="submit", **FOX)
    assert "Ask again all the same" in again.text
    assert len(api.bodies) == 1
    post(operator, "/stories/new", submission=drawn(operator), do="submit", again="yes", **FOX)
    assert len(rows(world)) == 2


def test_without_a_key_nothing_is_written(operator: FlaskClient, world: World) -> None:
    answer = post(operator, "/stories/new", submission=drawn(operator), do="submit", **FOX)
    assert "STORY_API_KEY is not set" in answer.text
    assert rows(world) == []


def test_viewers_ask_for_nothing(signed_in: SignIn) -> None:
    viewer = signed_in(Role.VIEWER)
    assert viewer.get("/stories/new").status_code == 403
    assert post(viewer, "/stories/new").status_code == 403
