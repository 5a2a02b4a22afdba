"""The buttons of a story's page: who may press them, what they do once, and what a stale page can't do."""

import re
from collections.abc import Iterator

import pytest
from dashboard_client import SignIn, post
from flask.testing import FlaskClient
from pydantic import SecretStr
from relayed import START, World
from scripted_api import ScriptedApi, scripted_api
from stories_told import Told, told_in
from werkzeug.test import TestResponse

from service.domain.people import Role
from service.domain.states import StepKind, StepState, StoryState
from service.ledger import people, stories


@pytest.fixture
def told(world: World) -> Told:
    return told_in(world)


@pytest.fixture
def operator(signed_in: SignIn) -> FlaskClient:
    return signed_in(Role.OPERATOR)


@pytest.fixture
def admin(signed_in: SignIn) -> FlaskClient:
    return signed_in(Role.ADMIN)


def stamp(client: FlaskClient) -> str:
    """What the forms of the page say of when they were made."""
    found = re.findall(r'name="seen" value="(\w+)"', client.get("/stories/story-1").text)
    return str(found[0]) if found else ""


def press(client: FlaskClient, deed: str, **form: str) -> TestResponse:
    """Presses a button of a page that was just loaded; returns the page that comes then."""
    return follow(client, post(client, f"/stories/story-1/{deed}", **({"seen": stamp(client)} | form)))


def follow(client: FlaskClient, answer: TestResponse) -> TestResponse:
    assert answer.status_code == 302, answer.text
    return client.get(answer.location)


def deeds(world: World) -> list[tuple[str, str]]:
    with world.relay.ledger.read() as tx:
        lines = [deed for _, deed in people.deeds(tx, 20)]
    return [(line.who, line.action) for line in lines if line.action in people.STORY_DEEDS][::-1]


def due(world: World) -> list[str]:
    return [name for name, step in world.steps("story-1").items() if step.state in ("pending", "queued")]


def test_the_story_api_is_asked_at_once(told: Told, operator: FlaskClient, world: World) -> None:
    told.fetches(told.story(StoryState.OPEN), "processing, 10 %")
    assert "asked at once" in press(operator, "fetch").text
    assert due(world) == ["fetch"]
    assert deeds(world) == [("the-operator", "fetch")]
    assert "By the-operator" in operator.get("/stories/story-1").text


def test_a_story_is_replayed_to_all_or_to_one(told: Told, operator: FlaskClient, world: World) -> None:
    told.settled()
    assert "The delivery to shelf is due again." in press(operator, "replay", destination="shelf").text
    assert due(world) == ["deliver/shelf"]


def test_a_second_press_on_a_page_that_is_old_does_nothing(
    told: Told, operator: FlaskClient, world: World
) -> None:
    told.settled()
    old = stamp(operator)
    assert "due again" in press(operator, "replay", seen=old).text
    for deed in ("replay", "withdraw", "cancel"):
        assert "changed since that page was loaded" in press(operator, deed, seen=old).text
        assert "changed since that page was loaded" in press(operator, deed, seen="").text
    assert world.steps("story-1")["deliver/shelf"].repeat == 1
    assert deeds(world) == [("the-operator", "replay")]


def test_where_the_story_never_was_is_offered_as_well(told: Told, operator: FlaskClient) -> None:
    told.settled()
    text = operator.get("/stories/story-1").text
    assert '<option value="shelf">shelf</option>' in text
    assert '<option value="attic">attic (has not got it)</option>' in text


def test_withdrawing_asks_first(told: Told, operator: FlaskClient, world: World) -> None:
    told.settled()
    asked = operator.get("/stories/story-1/withdraw")
    assert "Withdraw the story?" in asked.text
    assert due(world) == []
    assert "shelf is asked to let the story go." in press(operator, "withdraw", destination="shelf").text
    assert due(world) == ["deliver/shelf"]


def test_cancelling_asks_first_and_tells_what_it_did(told: Told, operator: FlaskClient, world: World) -> None:
    key = told.story(StoryState.OPEN, next_poll_at=START)
    told.step(key, StepKind.FETCH, state=StepState.PENDING, next_at=START)
    assert "Cancel the story?" in operator.get("/stories/story-1/cancel").text
    text = press(operator, "cancel").text
    assert "The story is cancelled" in text
    assert "It was cancelled: cancelled by the-operator" in text
    assert due(world) == []
    assert "Fetch now" not in text


def test_what_makes_no_sense_is_refused_with_its_reason(
    told: Told, operator: FlaskClient, world: World
) -> None:
    told.settled()
    assert "nothing of it is on its way" in press(operator, "cancel").text
    assert "There is no destination &#39;nope&#39;" in press(operator, "replay", destination="nope").text
    assert deeds(world) == []


def test_an_admin_forgets_a_story(told: Told, admin: FlaskClient, world: World) -> None:
    told.settled()
    assert "Forget the story?" in admin.get("/stories/story-1/forget").text
    assert "is forgotten here" in press(admin, "forget").text
    assert admin.get("/stories/story-1").status_code == 404
    assert world.relay.video_store().stat("story-1/r1/video.mp4") is None
    assert deeds(world) == [("the-admin", "forget")]
    assert admin.get("/stories/story-1/live").headers["HX-Refresh"] == "true"
    assert post(admin, "/stories/story-1/forget", seen="x").status_code == 404


@pytest.fixture
def api(world: World) -> Iterator[ScriptedApi]:
    with scripted_api() as api:
        object.__setattr__(world.relay.settings, "story_api_url", api.url)
        object.__setattr__(world.relay.settings, "story_api_key", SecretStr("k"))
        yield api


def test_an_admin_deletes_a_story_at_the_story_api_by_typing_its_id(
    told: Told, admin: FlaskClient, api: ScriptedApi
) -> None:
    told.settled()
    api.answer = lambda _: (200, {"id": "story-1", "status": "success"})
    assert "Type its id to be sure" in admin.get("/stories/story-1/delete-at-api").text
    assert "nothing was deleted" in press(admin, "delete-at-api", typed="sub-1").text
    assert api.deleted == []
    assert "is deleted at the Story API" in press(admin, "delete-at-api", typed="story-1").text
    assert api.deleted == ["/v2/story/story-1"]


def test_a_wrong_id_can_be_adopted_once_the_story_api_has_it(
    operator: FlaskClient, api: ScriptedApi, world: World
) -> None:
    answer = follow(operator, post(operator, "/stories/adopt", id="story-9"))
    assert "the Story API has no story story-9" in answer.text
    api.answer = lambda _: (200, {"id": "story-9", "status": "processing"})
    assert "is followed from now on" in follow(operator, post(operator, "/stories/adopt", id="story-9")).text
    assert world.story("story-9").state == StoryState.OPEN
    assert deeds(world) == [("the-operator", "track")]


@pytest.mark.parametrize(
    ("role", "deed", "status"),
    [
        *(
            (Role.VIEWER, deed, 403)
            for deed in ("fetch", "replay", "withdraw", "cancel", "forget", "delete-at-api")
        ),
        *((Role.OPERATOR, deed, 403) for deed in ("forget", "delete-at-api")),
        *((Role.OPERATOR, deed, 302) for deed in ("fetch", "replay", "withdraw", "cancel")),
    ],
)
def test_every_deed_takes_its_role(told: Told, signed_in: SignIn, role: Role, deed: str, status: int) -> None:
    told.settled()
    assert post(signed_in(role), f"/stories/story-1/{deed}").status_code == status


@pytest.mark.parametrize("role", list(Role))
def test_only_buttons_that_one_may_press_are_shown(told: Told, signed_in: SignIn, role: Role) -> None:
    told.settled()
    text = signed_in(role).get("/stories/story-1").text
    shown = {
        name for name in ("Fetch now", "Replay to all", "Withdraw …", "Forget …", "Cancel …") if name in text
    }
    operators = {"Fetch now", "Replay to all", "Withdraw …"}
    assert shown == {Role.VIEWER: set(), Role.OPERATOR: operators, Role.ADMIN: operators | {"Forget …"}}[role]


def test_a_story_that_is_gone_meanwhile_says_so(told: Told, admin: FlaskClient, world: World) -> None:
    told.settled()
    with world.relay.ledger.write() as tx:
        tx.execute(stories.stories.delete())
    assert post(admin, "/stories/story-1/replay").status_code == 404
