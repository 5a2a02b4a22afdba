import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from scripted_place import Asked, Says, ScriptedPlace, scripted_place

from handlers.connectors.strapi import StrapiConnector, StrapiOptions
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
    """A Strapi that has nothing yet."""
    if asked.method == "GET":
        return Says(200, [] if asked.path.startswith("/api/upload") else {"data": []})
    if asked.path == "/api/upload":
        name = "video.mp4" if b"video/mp4" in asked.body else "poster.jpg"
        return Says(201, [{"id": 7 if "mp4" in name else 8, "name": name, "url": f"/uploads/{name}"}])
    return Says(201, {"data": {"documentId": "doc5"}})


def connector(tools: ConnectorTools, url: str = "https://cms.test/", **options: Any) -> StrapiConnector:
    return StrapiConnector(StrapiOptions(**{**OPTIONS, "url": url, **options}), tools)


def problem(status: int, name: str) -> Says:
    error = {"status": status, "name": name, "message": "What it says <b>", "details": {}}
    return Says(status, {"data": None, "error": error}, {"Retry-After": "7"})


def test_is_found_by_its_name() -> None:
    assert connector_class("strapi") is StrapiConnector


def test_makes_an_entry_with_its_files(place: ScriptedPlace, tools: ConnectorTools, shelf: Any) -> None:
    shelf.sha256 = "ab" * 32
    published = connector(tools, place.url, status="draft").publish(shelf.publication(title="T"))
    look, files, video, poster, entry, again, live = place.asked
    assert (look.method, look.path.partition("?")[0]) == ("GET", "/api/stories")
    assert "storyrelay-1-team." in files.path
    for sent, ending in ((video, b"mp4"), (poster, b"jpg")):
        assert (sent.method, sent.path) == ("POST", "/api/upload")
        before, _, rest = sent.body.partition(b'name="files"')
        name = b"storyrelay-1-team." + b"ab" * 8 + b"." + ending
        assert name in before
        assert name in rest
    assert entry.path == "/api/stories?status=draft"
    assert entry.body == {"data": {"relay_key": "storyrelay-1-team", "title": "T", "video": 7}}
    assert (again.path, "status=published" in live.path) == (look.path, True)
    assert all(asked.headers["Authorization"] == "Bearer t0ps3cret" for asked in place.asked)
    assert all("t0ps3cret" not in asked.path for asked in place.asked)
    assert published.reference == {"entry": "doc5", "video": 7, "poster": 8}
    assert published.url == f"{place.url}/api/stories/doc5"


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("https://cms.test", "https://cms.test/api"),
        ("https://cms.test/", "https://cms.test/api"),
        ("https://cms.test/api/", "https://cms.test/api"),
        ("https://cms.test/content/v2", "https://cms.test/content/v2"),
    ],
)
def test_the_address_has_the_prefix_of_the_api(url: str, api: str) -> None:
    assert StrapiOptions(**{**OPTIONS, "url": url}).url == api


@pytest.mark.parametrize(
    ("url", "video"),
    [("/uploads/v.mp4", "{}/uploads/v.mp4"), ("https://cdn.test/v.mp4", "https://cdn.test/v.mp4")],
)
def test_a_files_address_may_be_relative(
    place: ScriptedPlace, tools: ConnectorTools, shelf: Any, url: str, video: str
) -> None:
    row = {"id": 7, "name": "v.mp4", "url": url}
    place.answer = lambda asked: Says(201, [row]) if asked.path == "/api/upload" else whole(asked)
    connector(tools, place.url, fields={"body": "{{ media.video_url }}"}).publish(shelf.publication())
    (entry,) = [asked for asked in place.asked if asked.path.startswith("/api/stories?status=published")][:1]
    assert entry.body["data"]["body"] == video.format(place.url)


def test_each_call_but_the_first_is_paced(place: ScriptedPlace, tools: ConnectorTools, shelf: Any) -> None:
    paced: list[int] = []
    counted = replace(tools, pace=lambda: paced.append(len(place.asked)))
    connector(counted, place.url).publish(shelf.publication())
    assert paced == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize(
    ("says", "permanent", "refused", "retry_after"),
    [
        (problem(401, "UnauthorizedError"), False, True, 7.0),
        (problem(403, "ForbiddenError"), False, True, 7.0),
        (problem(404, "NotFoundError"), False, True, 7.0),
        (problem(429, "RateLimitError"), False, False, 7.0),
        (problem(500, "InternalServerError"), False, False, 7.0),
        (Says(502, b"<html>Bad gateway", {}), False, False, None),
        (Says(200, b"<html>Welcome", {}), False, True, None),
        (Says(301, b"", {"Location": "http://127.0.0.1:9/?token=t0ps3cret"}), False, True, None),
        (Says(404, {"other": 1}, {}), False, True, None),
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


def test_an_entry_that_is_refused_is_refused_for_good_and_says_why(
    place: ScriptedPlace, tools: ConnectorTools, shelf: Any
) -> None:
    errors = [{"path": ["title"], "message": "title must be at most 5 characters", "name": "ValidationError"}]
    error = {"status": 400, "name": "ValidationError", "message": "1 error", "details": {"errors": errors}}
    place.answer = lambda asked: (
        Says(400, {"error": error})
        if (asked.method, asked.path) == ("POST", "/api/stories?status=published")
        else whole(asked)
    )
    with pytest.raises(DeliveryFailed, match="title must be at most 5 characters") as failed:
        connector(tools, place.url).publish(shelf.publication())
    assert failed.value.permanent


@pytest.mark.parametrize(
    "says",
    [
        problem(413, "PayloadTooLargeError"),
        problem(400, "ValidationError"),
        Says(413, b"<html>nginx", {}),
    ],
)
def test_files_that_are_refused_for_good_are_linked(
    place: ScriptedPlace, tools: ConnectorTools, shelf: Any, says: Says
) -> None:
    place.answer = lambda asked: (
        says if (asked.method, asked.path) == ("POST", "/api/upload") else whole(asked)
    )
    fields = {"title": "{{ media.video_url }}", "video": "{{ media.video }}"}
    published = connector(tools, place.url, fields=fields).publish(shelf.publication())
    entry = place.asked[-2].body["data"]
    assert (entry["title"], entry["video"]) == ("https://relay.test/media/v?a=1&b=2", None)
    assert "without the video" in published.remark
    assert "without the poster" in published.remark


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


def test_a_preview_is_the_entry_as_it_would_be(
    place: ScriptedPlace, tools: ConnectorTools, shelf: Any
) -> None:
    (part,) = connector(tools, place.url).preview(shelf.publication(title="Zürich <b>"))
    assert part.name == "stories.json"
    data = {"relay_key": "storyrelay-1-team", "title": "Zürich <b>", "video": 1}
    assert json.loads(part.text) == {"status": "published", "data": data}
    assert "Zürich" in part.text
    assert place.asked == []


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
        ({"status": "archived"}, "draft"),
        ({"upload_limit": -1}, "greater than or equal"),
        ({"feilds": {}}, "Extra inputs"),
    ],
)
def test_options_are_checked_and_never_quoted(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as refused:
        StrapiOptions(**{**OPTIONS, **options})
    assert "t0ps3cret" not in str(refused.value)


def test_secrets_are_not_shown(tools: ConnectorTools) -> None:
    assert "t0ps3cret" not in repr(StrapiOptions(**OPTIONS)) + repr(vars(connector(tools)))
