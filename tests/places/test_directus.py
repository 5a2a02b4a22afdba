from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from directus_server import ACTIONS, LIMIT, Directus, running_directus
from meddling_http import MeddlingHttp

from handlers.connectors.directus import DirectusConnector, DirectusOptions
from service.connector_contract import ConnectorContract, Faults, FaultyHttp, Seen, film, new_story
from service.connectors import ConnectorTools
from service.domain.delivery import DeliveryFailed
from service.outbound_http import HttpClient

TEXT = {"type": "text"}
FILE = {"type": "uuid", "meta": {"special": ["file"]}}
COLLECTION = {
    "relay_key": {"type": "string", "schema": {"is_unique": True}},
    "status": {"type": "string"},
    "title": TEXT,
    "body": TEXT,
    "video": FILE,
    "poster": FILE,
    "seconds": {"type": "float"},
}
FIELDS = {
    "title": "{{ story.title }}",
    "body": "{{ story.idea }}\n<video src='{{ media.video_url }}'>",
    "video": "{{ media.video }}",
    "poster": "{{ media.poster }}",
    "seconds": "{{ video.seconds }}",
}
ALL = {"stories": ACTIONS, "directus_files": ACTIONS}


@dataclass(frozen=True)
class DirectusPlace:
    directus: Directus
    token: str
    folder: Path

    def connector(
        self, faults: Faults | None = None, *, http: HttpClient | None = None, **options: Any
    ) -> DirectusConnector:
        usual = {"collection": "stories", "key_field": "relay_key", "fields": FIELDS, "status": "draft"}
        chosen = {"url": self.directus.url, "token": self.token, **usual, **options}
        tools = ConnectorTools(
            "place", http or FaultyHttp(faults or Faults()), self.folder, lambda: datetime.now(UTC)
        )
        return DirectusConnector(DirectusOptions.model_validate(chosen), tools)

    def seen(self, key: str) -> Sequence[Seen]:
        return [
            Seen(row["title"], row["video"] and sha256(self.directus.bytes_of(row["video"])).hexdigest())
            for row in self.rows(key)
        ]

    def rows(self, key: str) -> Any:
        return self.directus.rows("/items/stories", relay_key=key)

    def files(self, key: str) -> list[str]:
        return [
            row["id"]
            for ending in ("mp4", "jpg")
            for row in self.directus.rows("/files", filename_download=f"{key}.{ending}")
        ]


@pytest.fixture(scope="module")
def directus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directus]:
    with running_directus(tmp_path_factory.mktemp("directus")) as server:
        server.make_collection("stories", COLLECTION)
        yield server


@pytest.fixture(scope="module")
def token(directus: Directus) -> str:
    return directus.make_user("relay", ALL)


@pytest.fixture
def place(directus: Directus, token: str, tmp_path: Path) -> DirectusPlace:
    return DirectusPlace(directus, token, tmp_path)


class TestDirectus(ConnectorContract):
    def test_a_revision_leaves_no_file_behind(self, place: DirectusPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        place.connector(Faults()).publish(story.publication())
        first = place.files(story.key)
        again = replace(story, revision=2, video=film(tmp_path / "two.mp4", "Two"))
        place.connector(Faults()).publish(again.publication())
        second = place.files(story.key)
        assert (len(first), len(second), set(first) & set(second)) == (2, 2, set())
        place.connector(Faults()).withdraw(story.withdrawal())
        assert place.files(story.key) == []

    def test_the_item_has_all_fields_and_keeps_what_editors_did(
        self, place: DirectusPlace, tmp_path: Path
    ) -> None:
        story = new_story(tmp_path)
        published = place.connector(Faults()).publish(story.publication())
        (row,) = place.rows(story.key)
        assert (row["status"], row["seconds"], row["poster"] is not None) == ("draft", 2.0, True)
        assert f"{place.directus.url}/assets/{row['video']}" in row["body"]
        assert published.url == f"{place.directus.url}/admin/content/stories/{row['id']}"
        assert published.remark == ""
        place.directus.call("PATCH", f"/items/stories/{row['id']}", {"status": "published"})
        place.connector(Faults()).publish(story.publication(repeat=1))
        assert [one["status"] for one in place.rows(story.key)] == ["published"]

    def test_an_item_made_since_we_looked_is_found(self, place: DirectusPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        item = {"relay_key": story.key, "title": "of another attempt"}
        http = MeddlingHttp(
            "POST", "/items/stories", lambda: place.directus.call("POST", "/items/stories", item)
        )
        place.connector(http=http).publish(story.publication())
        assert http.meddled
        self.stands_once(place, story)

    def test_an_upload_that_ended_early_is_replaced(self, place: DirectusPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        place.connector(Faults()).publish(story.publication())
        (row,) = place.rows(story.key)
        place.directus.call("PATCH", f"/files/{row['video']}", {"filesize": 7})
        place.connector(Faults()).publish(story.publication())
        (file,) = place.directus.rows("/files", filename_download=f"{story.key}.mp4")
        assert (file["id"], int(file["filesize"])) == (row["video"], story.video.stat().st_size)
        self.stands_once(place, story)

    def test_a_video_that_is_too_large_is_linked(self, place: DirectusPlace, tmp_path: Path) -> None:
        told = new_story(tmp_path)
        publication = told.publication()
        published = place.connector(Faults(), upload_limit=1000).publish(publication)
        (row,) = place.rows(told.key)
        assert row["video"] is None
        assert publication.links.video in row["body"]
        assert "upload_limit" in published.remark

    def test_a_video_over_the_servers_limit_is_linked(self, place: DirectusPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        with story.video.open("ab") as file:
            file.truncate(LIMIT + 1)
        published = place.connector(Faults()).publish(story.publication())
        (row,) = place.rows(story.key)
        assert (row["video"], row["poster"] is not None) == (None, True)
        assert "CONTENT_TOO_LARGE" in published.remark

    def test_a_file_that_an_editor_uses_elsewhere_stays(self, place: DirectusPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        place.connector(Faults()).publish(story.publication())
        (row,) = place.rows(story.key)
        place.directus.call("POST", "/items/stories", {"relay_key": f"x{story.key}", "video": row["video"]})
        withdrawn = place.connector(Faults()).withdraw(story.withdrawal())
        assert place.files(story.key) == [row["video"]]
        assert row["video"] in withdrawn.remark

    def test_fields_that_directus_drops_are_told(self, place: DirectusPlace, tmp_path: Path) -> None:
        connector = place.connector(Faults(), fields={**FIELDS, "titel": "{{ story.title }}"})
        assert "titel" in connector.publish(new_story(tmp_path).publication()).remark
        with pytest.raises(DeliveryFailed, match="no field titel") as failed:
            connector.check()
        assert failed.value.refused

    def test_a_page_is_where_people_see_it(self, place: DirectusPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        connector = place.connector(Faults(), page="https://www.test/s/{{ story.id }}")
        assert connector.publish(story.publication()).url == f"https://www.test/s/{story.facts().id}"

    def test_a_test_leaves_nothing(self, place: DirectusPlace) -> None:
        def everything() -> tuple[object, object]:
            return place.directus.rows("/items/stories"), place.directus.rows("/files")

        before = everything()
        place.connector(Faults()).send_test()
        assert everything() == before
        with pytest.raises(DeliveryFailed):
            place.connector(Faults(), fields={"video": "no id"}).send_test()
        assert everything() == before


@pytest.mark.parametrize("collection", ["stories", "directus_files"])
@pytest.mark.parametrize("action", ACTIONS)
def test_check_names_a_right_that_is_missing(place: DirectusPlace, collection: str, action: str) -> None:
    rights = {name: [one for one in ACTIONS if (name, one) != (collection, action)] for name in ALL}
    token = place.directus.make_user(f"{collection}-{action}", rights)
    with pytest.raises(DeliveryFailed, match=f"lacks the right to {action} in {collection}") as failed:
        replace(place, token=token).connector(Faults()).check()
    assert failed.value.refused


def test_check_wants_a_unique_key(place: DirectusPlace) -> None:
    with pytest.raises(DeliveryFailed, match="make the field title of stories unique"):
        place.connector(Faults(), key_field="title", fields={"body": "x"}).check()


def test_a_wrong_token_pauses_the_destination(place: DirectusPlace, tmp_path: Path) -> None:
    wrong = replace(place, token="t0ps3cret").connector(Faults())
    for act in (wrong.check, wrong.send_test, lambda: wrong.publish(new_story(tmp_path).publication())):
        with pytest.raises(DeliveryFailed, match="static token") as failed:
            act()
        assert failed.value.refused
        assert "t0ps3cret" not in str(failed.value)


def test_an_address_of_something_else_pauses_the_destination(place: DirectusPlace) -> None:
    with pytest.raises(DeliveryFailed, match="url option") as failed:
        place.connector(Faults(), url=f"{place.directus.url}/nowhere").check()
    assert failed.value.refused
