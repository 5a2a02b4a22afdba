from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from meddling_http import MeddlingHttp
from strapi_server import LIMIT, NOTES, STORIES, UPLOADS, Strapi, running_strapi

from handlers.connectors.strapi import StrapiConnector, StrapiOptions
from service.connector_contract import ConnectorContract, Faults, FaultyHttp, Seen, film, new_story
from service.connectors import ConnectorTools
from service.domain.delivery import DeliveryFailed
from service.outbound_http import HttpClient

ATTRIBUTES = {
    "relay_key": {"type": "string", "unique": True},
    "title": {"type": "text"},
    "body": {"type": "richtext"},
    "seconds": {"type": "decimal"},
    "video": {"type": "media", "multiple": False, "allowedTypes": ["videos"]},
    "poster": {"type": "media", "multiple": False, "allowedTypes": ["images"]},
}
FIELDS = {
    "title": "{{ story.title }}",
    "body": "{{ story.idea }}\n<video src='{{ media.video_url }}'>",
    "video": "{{ media.video }}",
    "poster": "{{ media.poster }}",
    "seconds": "{{ video.seconds }}",
}
NEEDED = (*STORIES, *NOTES, *UPLOADS)


@dataclass(frozen=True)
class StrapiPlace:
    strapi: Strapi
    folder: Path
    status: str
    token: str = "relay"

    def connector(
        self, faults: Faults | None = None, *, http: HttpClient | None = None, **options: Any
    ) -> StrapiConnector:
        usual = {"collection": "stories", "key_field": "relay_key", "fields": FIELDS, "status": self.status}
        chosen = {"url": self.strapi.url, "token": self.strapi.tokens[self.token], **usual, **options}
        tools = ConnectorTools(
            "place", http or FaultyHttp(faults or Faults()), self.folder, lambda: datetime.now(UTC)
        )
        return StrapiConnector(StrapiOptions.model_validate(chosen), tools)

    def seen(self, key: str) -> Sequence[Seen]:
        return [
            Seen(entry["title"], entry["video"] and self._sha256(entry["video"]["url"]))
            for entry in self.entries(key)
        ]

    def entries(self, key: str) -> Any:
        return self.strapi.entries("/api/stories", self.status, relay_key=key)

    def files(self, key: str) -> list[str]:
        return [row["name"] for row in self.strapi.files() if row["name"].startswith(key)]

    def _sha256(self, address: str) -> str:
        return sha256(self.strapi.bytes_of(address)).hexdigest()


@pytest.fixture(scope="module")
def strapi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strapi]:
    tokens = {"relay": NEEDED, **{right: [one for one in NEEDED if one != right] for right in NEEDED}}
    with running_strapi(tmp_path_factory.mktemp("strapi"), ATTRIBUTES, tokens) as server:
        yield server


@pytest.fixture(params=["draft", "published"])
def place(strapi: Strapi, tmp_path: Path, request: pytest.FixtureRequest) -> StrapiPlace:
    return StrapiPlace(strapi, tmp_path, request.param)


class TestStrapi(ConnectorContract):
    def test_a_revision_leaves_no_file_behind(self, place: StrapiPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        place.connector().publish(story.publication())
        first = place.files(story.key)
        again = replace(story, revision=2, video=film(tmp_path / "two.mp4", "Two"))
        place.connector().publish(again.publication())
        second = place.files(story.key)
        assert (len(first), len(second), set(first) & set(second)) == (2, 2, set())
        place.connector().withdraw(story.withdrawal())
        assert place.files(story.key) == []

    def test_drafts_stay_drafts(self, place: StrapiPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        place.connector().publish(story.publication())
        place.connector().publish(replace(story, revision=2).publication())
        published = place.strapi.entries("/api/stories", "published", relay_key=story.key)
        assert len(published) == (1 if place.status == "published" else 0)

    def test_the_entry_has_all_fields(self, place: StrapiPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        published = place.connector().publish(story.publication())
        (entry,) = place.entries(story.key)
        assert (entry["seconds"], entry["poster"]["mime"], entry["video"]["mime"]) == (
            2,
            "image/jpeg",
            "video/mp4",
        )
        assert f"{place.strapi.url}{entry['video']['url']}" in entry["body"]
        assert published.url == f"{place.strapi.url}/api/stories/{entry['documentId']}"
        assert published.remark == ""

    def test_of_entries_made_at_the_same_time_the_oldest_stays(
        self, place: StrapiPlace, tmp_path: Path
    ) -> None:
        story = new_story(tmp_path)
        content = {"data": {"relay_key": story.key, "title": "of another attempt"}}
        http = MeddlingHttp(
            "POST", "/api/stories", lambda: place.strapi.call("POST", "/api/stories?status=draft", content)
        )
        if place.status == "published":  # only then Strapi holds the field unique
            content["data"]["relay_key"] = f"{story.key} "
        place.connector(http=http).publish(story.publication())
        assert http.meddled
        self.stands_once(place, story)

    def test_the_maker_of_the_oldest_removes_the_later_one(self, place: StrapiPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        content = {"data": {"relay_key": story.key, "title": "of another attempt"}}

        def meddle() -> None:
            place.strapi.call("POST", "/api/stories?status=draft", content)

        http = MeddlingHttp("GET", "/api/stories", meddle, skip=1)
        place.connector(http=http).publish(story.publication())
        assert http.meddled
        assert len(place.strapi.entries("/api/stories", "draft", relay_key=story.key)) == 1
        self.stands_once(place, story)

    def test_an_entry_deleted_since_we_looked_is_made_anew(self, place: StrapiPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        published = place.connector().publish(story.publication())
        path = f"/api/stories/{published.reference['entry']}"
        http = MeddlingHttp("PUT", path, lambda: place.strapi.call("DELETE", path))
        with pytest.raises(DeliveryFailed, match="deleted since") as failed:
            place.connector(http=http).publish(story.publication())
        assert (failed.value.permanent, failed.value.refused) == (False, False)
        place.connector().publish(story.publication())
        self.stands_once(place, story)

    def test_an_editors_copy_is_left_alone(self, place: StrapiPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        place.connector().publish(story.publication())
        copy = {"data": {"relay_key": story.key, "title": "a copy"}}
        made = place.strapi.call("POST", "/api/stories?status=draft", copy)["data"]["documentId"]
        published = place.connector().publish(replace(story, title="A second letter").publication())
        drafts = place.strapi.entries("/api/stories", "draft", relay_key=story.key)
        assert sorted(one["title"] for one in drafts) == ["A second letter", "a copy"]
        assert made in published.remark

    def test_what_editors_published_of_a_draft_keeps_its_video(
        self, place: StrapiPlace, tmp_path: Path
    ) -> None:
        story = new_story(tmp_path)
        place.connector().publish(story.publication())
        (entry,) = place.entries(story.key)
        place.strapi.call("PUT", f"/api/stories/{entry['documentId']}?status=published", {"data": {}})
        again = replace(story, revision=2, video=film(tmp_path / "two.mp4", "Two"))
        place.connector().publish(again.publication())
        (shown,) = place.strapi.entries("/api/stories", "published", relay_key=story.key)
        expected = again if place.status == "published" else story
        assert sha256(place.strapi.bytes_of(shown["video"]["url"])).digest() == _sha256(expected.video)
        place.connector().withdraw(story.withdrawal())
        assert place.files(story.key) == []

    def test_a_video_that_is_too_large_is_linked(self, place: StrapiPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        publication = story.publication()
        published = place.connector(upload_limit=1000).publish(publication)
        (entry,) = place.entries(story.key)
        assert entry["video"] is None
        assert publication.links.video in entry["body"]
        assert "upload_limit" in published.remark

    def test_a_video_over_the_servers_limit_is_linked(self, place: StrapiPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        with story.video.open("ab") as file:
            file.truncate(LIMIT + 1)
        published = place.connector().publish(story.publication())
        (entry,) = place.entries(story.key)
        assert (entry["video"], entry["poster"] is not None) == (None, True)
        assert "FileTooBig" in published.remark

    def test_a_field_that_is_not_there_is_named(self, place: StrapiPlace, tmp_path: Path) -> None:
        connector = place.connector(fields={**FIELDS, "titel": "{{ story.title }}"})
        with pytest.raises(DeliveryFailed, match="titel") as failed:
            connector.publish(new_story(tmp_path).publication())
        assert failed.value.permanent
        with pytest.raises(DeliveryFailed, match="titel"):
            connector.send_test()

    def test_a_page_is_where_people_see_it(self, place: StrapiPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        connector = place.connector(page="https://www.test/s/{{ story.id }}")
        assert connector.publish(story.publication()).url == f"https://www.test/s/{story.facts().id}"

    def test_a_test_leaves_nothing(self, place: StrapiPlace) -> None:
        def everything() -> tuple[object, object]:
            return place.strapi.entries("/api/stories", "draft"), place.strapi.files()

        before = everything()
        place.connector().send_test()
        assert everything() == before
        with pytest.raises(DeliveryFailed):
            place.connector(fields={"video": 999_999}).send_test()
        assert everything() == before

    def test_a_collection_without_drafts_will_do(self, place: StrapiPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path)
        for title in ("A letter", "A second letter"):
            place.connector(collection="notes").publish(replace(story, title=title).publication())
            (entry,) = place.strapi.entries("/api/notes", place.status, relay_key=story.key)
            assert entry["title"] == title
        place.connector(collection="notes").withdraw(story.withdrawal())
        assert place.strapi.entries("/api/notes", place.status, relay_key=story.key) == []
        assert place.files(story.key) == []


@pytest.mark.parametrize("right", [*STORIES, *UPLOADS])
def test_check_names_a_right_that_is_missing(strapi: Strapi, tmp_path: Path, right: str) -> None:
    place = StrapiPlace(strapi, tmp_path, "draft", right)
    action, where = right.rpartition(".")[2], "Upload" if "upload" in right else "stories"
    with pytest.raises(DeliveryFailed, match=f"lacks the right to {action} in {where}$") as failed:
        place.connector().check()
    assert failed.value.refused


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"key_field": "nothing"}, "field nothing can't be searched for"),
        ({"collection": "nothings"}, "plural API id"),
        ({"token": "t0ps3cret"}, "API token that has not expired"),
        ({"url": "nowhere"}, "address of the API"),
    ],
)
def test_check_says_what_to_mend(strapi: Strapi, tmp_path: Path, options: Any, says: str) -> None:
    if "url" in options:
        options = {"url": f"{strapi.url}/nowhere"}
    with pytest.raises(DeliveryFailed, match=says) as failed:
        StrapiPlace(strapi, tmp_path, "draft").connector(**options).check()
    assert failed.value.refused
    assert "t0ps3cret" not in str(failed.value)


def _sha256(path: Path) -> bytes:
    return sha256(path.read_bytes()).digest()
