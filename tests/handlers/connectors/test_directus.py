import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from scripted_place import Asked, Says, ScriptedPlace, scripted_place

from handlers.connectors.directus import DirectusConnector, DirectusOptions
from handlers.message_text import BrokenTemplate
from service.connectors import ConnectorTools, connector_class
from service.domain.delivery import DeliveryFailed, Notice

OPTIONS: dict[str, Any] = {
    "url": "https://cms.test/",
    "token": "t0ps3cret",
    "collection": "stories",
    "key_field": "relay_key",
    "fields": {"title": "{{ story.title }}", "video": "{{ media.video }}"},
}


@pytest.fixture
def place() -> Iterator[ScriptedPlace]:
    with scripted_place() as server:
        server.answer = whole
        yield server


def whole(asked: Asked) -> Says | None:
    """A Directus that has nothing yet."""
    if asked.method == "GET":
        return Says(200, {"data": []})
    if asked.path == "/files":
        return Says(200, {"data": {"id": "x"}})
    return Says(200, {"data": {"id": 5, "title": "", "video": None, "relay_key": ""}})


def connector(tools: ConnectorTools, url: str = "https://cms.test/", **options: Any) -> DirectusConnector:
    return DirectusConnector(DirectusOptions(**{**OPTIONS, "url": url, **options}), tools)


def problem(status: int, code: str, **more: str) -> Says:
    error = {"message": "What it says <b>", "extensions": {"code": code, **more}}
    return Says(status, {"errors": [error]}, {"Retry-After": "7"})


def test_is_found_by_its_name() -> None:
    assert connector_class("directus") is DirectusConnector


def test_makes_an_item_with_its_files(place: ScriptedPlace, tools: ConnectorTools, shelf: Any) -> None:
    shelf.sha256 = "ab" * 32
    published = connector(tools, place.url, status="draft", folder="f1").publish(shelf.publication(title="T"))
    look, files, video, poster, item = place.asked
    assert (look.method, look.path.partition("?")[0]) == ("GET", "/items/stories")
    assert "storyrelay-1-team.mp4" in files.path
    for sent, name in ((video, b"storyrelay-1-team.mp4"), (poster, b"storyrelay-1-team.jpg")):
        assert (sent.method, sent.path) == ("POST", "/files")
        before, _, rest = sent.body.partition(b'name="file"')
        assert all(f'name="{field}"'.encode() in before for field in ("id", "title", "folder"))
        assert name in rest
    number = published.reference["video"]
    assert item.body == {"relay_key": "storyrelay-1-team", "status": "draft", "title": "T", "video": number}
    assert all(asked.headers["Authorization"] == "Bearer t0ps3cret" for asked in place.asked)
    assert all("t0ps3cret" not in asked.path for asked in place.asked)
    assert published.url == f"{place.url}/admin/content/stories/5"


def test_each_call_but_the_first_is_paced(place: ScriptedPlace, tools: ConnectorTools, shelf: Any) -> None:
    paced: list[int] = []
    counted = replace(tools, pace=lambda: paced.append(len(place.asked)))
    connector(counted, place.url).publish(shelf.publication())
    assert paced == [1, 2, 3, 4]


@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize(
    ("says", "permanent", "refused", "retry_after"),
    [
        (problem(401, "INVALID_CREDENTIALS"), False, True, 7.0),
        (problem(403, "FORBIDDEN"), False, True, 7.0),
        (problem(429, "REQUESTS_EXCEEDED"), False, False, 7.0),
        (problem(500, "INTERNAL_SERVER_ERROR"), False, False, 7.0),
        (problem(503, "UNDER_PRESSURE"), False, False, 7.0),
        (Says(502, b"<html>Bad gateway", {}), False, False, None),
        (Says(200, b"<html>Welcome", {}), False, True, None),
        (Says(301, b"", {"Location": "http://127.0.0.1:9/?token=t0ps3cret"}), False, True, None),
        (Says(404, {"errors": []}, {}), False, True, None),
        (None, False, False, None),
    ],
)
def test_what_an_answer_means(
    place: ScriptedPlace,
    tools: ConnectorTools,
    shelf: Any,
    at: int,
    says: Says | None,
    permanent: bool,
    refused: bool,
    retry_after: float | None,
) -> None:
    place.answer = lambda asked: says if len(place.asked) == at + 1 else whole(asked)
    with pytest.raises(DeliveryFailed) as failed:
        connector(tools, place.url).publish(shelf.publication())
    found = failed.value
    assert (found.permanent, found.refused, found.retry_after) == (permanent, refused, retry_after)
    assert len(place.asked) == at + 1
    assert "t0ps3cret" not in str(found)
    assert str(found).isprintable()


@pytest.mark.parametrize("code", ["FAILED_VALIDATION", "INVALID_FOREIGN_KEY", "VALUE_TOO_LONG"])
def test_an_item_that_is_refused_is_refused_for_good(
    place: ScriptedPlace, tools: ConnectorTools, shelf: Any, code: str
) -> None:
    place.answer = lambda asked: (
        problem(400, code) if (asked.method, asked.path) == ("POST", "/items/stories") else whole(asked)
    )
    with pytest.raises(DeliveryFailed, match=code) as failed:
        connector(tools, place.url).publish(shelf.publication())
    assert failed.value.permanent


def test_another_field_that_must_be_unique_is_not_taken_for_our_key(
    place: ScriptedPlace, tools: ConnectorTools, shelf: Any
) -> None:
    place.answer = lambda asked: (
        problem(400, "RECORD_NOT_UNIQUE", field="slug")
        if (asked.method, asked.path) == ("POST", "/items/stories")
        else whole(asked)
    )
    with pytest.raises(DeliveryFailed, match="RECORD_NOT_UNIQUE") as failed:
        connector(tools, place.url).publish(shelf.publication())
    assert failed.value.permanent


@pytest.mark.parametrize(
    "says",
    [
        problem(413, "CONTENT_TOO_LARGE"),
        problem(400, "INVALID_PAYLOAD"),
        Says(413, b"<html>nginx", {}),
    ],
)
def test_files_that_are_refused_for_good_are_linked(
    place: ScriptedPlace, tools: ConnectorTools, shelf: Any, says: Says
) -> None:
    place.answer = lambda asked: says if (asked.method, asked.path) == ("POST", "/files") else whole(asked)
    fields = {"title": "{{ media.video_url }}", "video": "{{ media.video }}"}
    published = connector(tools, place.url, fields=fields).publish(shelf.publication())
    assert place.asked[-1].body["title"] == "https://relay.test/media/v?a=1&b=2"
    assert place.asked[-1].body["video"] is None
    assert "without the video" in published.remark
    assert "without the poster" in published.remark


def test_an_upload_under_way_is_replaced(place: ScriptedPlace, tools: ConnectorTools, shelf: Any) -> None:
    place.answer = lambda asked: (
        problem(400, "RECORD_NOT_UNIQUE", field="id")
        if (asked.method, asked.path) == ("POST", "/files")
        else whole(asked)
    )
    published = connector(tools, place.url).publish(shelf.publication())
    replaced = [asked.path for asked in place.asked if asked.method == "PATCH"]
    assert replaced == [f"/files/{published.reference[part]}" for part in ("video", "poster")]


def test_nobody_listens(shelf: Any, tools: ConnectorTools, nobody_listens: int) -> None:
    down = connector(tools, f"http://127.0.0.1:{nobody_listens}")
    for act in (lambda: down.publish(shelf.publication()), down.check, down.send_test):
        with pytest.raises(DeliveryFailed, match=r"127\.0\.0\.1") as failed:
            act()
        assert (failed.value.permanent, failed.value.refused) == (False, False)


def test_notices_are_refused_with_what_to_do_instead(tools: ConnectorTools, notice: Notice) -> None:
    with pytest.raises(DeliveryFailed, match=r"\[notices\]") as failed:
        connector(tools).notify(notice)
    assert failed.value.permanent


def test_a_preview_is_the_item_as_it_would_be(
    place: ScriptedPlace, tools: ConnectorTools, shelf: Any
) -> None:
    publication = shelf.publication(title="Zürich <b>")
    (part,) = connector(tools, place.url).preview(publication)
    assert part.name == "stories.json"
    assert "Zürich <b>" in part.text
    assert place.asked == []
    connector(tools, place.url).publish(publication)
    assert json.loads(part.text) == place.asked[-1].body


def test_a_broken_template_is_told_at_start(tools: ConnectorTools) -> None:
    with pytest.raises(BrokenTemplate, match="field title"):
        connector(tools, fields={"title": "{{ story.titel }}"})
    with pytest.raises(BrokenTemplate, match="page"):
        connector(tools, page="https://www.test/{{ nothing }}")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"url": "ftp://cms.test"}, "http"),
        ({"url": "https://user:t0ps3cret@cms.test"}, "user or password"),
        ({"collection": "stories?limit=1"}, "pattern"),
        ({"key_field": "relay/key"}, "pattern"),
        ({"fields": {}}, "at least 1"),
        ({"fields": {"relay_key": "x"}}, "relay_key is filled by the connector"),
        ({"fields": {"status": "x"}, "status": "draft"}, "status is filled by the connector"),
        ({"status": "archived"}, "draft"),
        ({"upload_limit": -1}, "greater than or equal"),
        ({"feilds": {}}, "Extra inputs"),
    ],
)
def test_options_are_checked_and_never_quoted(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as refused:
        DirectusOptions(**{**OPTIONS, **options})
    assert "t0ps3cret" not in str(refused.value)


def test_secrets_are_not_shown(tools: ConnectorTools) -> None:
    assert "t0ps3cret" not in repr(DirectusOptions(**OPTIONS)) + repr(vars(connector(tools)))
