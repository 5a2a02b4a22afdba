import json
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from pydantic import ValidationError

from handlers.connectors.archive import ArchiveConnector, ArchiveOptions
from handlers.message_text import clean
from service.connectors import ConnectorTools, connector_class
from service.domain.delivery import DeliveryFailed, Notice
from service.video_store import ObjectStore, open_store

FILES = ["captions.vtt", "poster.jpg", "story.json", "video.mp4"]


@pytest.fixture(params=["folder", "s3"])
def options(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    if request.param == "folder":
        return {"path": "published"}
    found: Mapping[str, Any] = request.getfixturevalue("s3_options")
    return found


@pytest.fixture
def place(options: Mapping[str, Any], tools: ConnectorTools) -> ArchiveConnector:
    return ArchiveConnector(ArchiveOptions(**options), tools)


@pytest.fixture
def folder(options: Mapping[str, Any], tools: ConnectorTools) -> Path:
    return tools.base / ("published" if options["path"] == "published" else "s3/shelf/published")


@pytest.fixture
def store(options: Mapping[str, Any], tools: ConnectorTools) -> ObjectStore:
    checked = ArchiveOptions(**options)
    return open_store(checked.path, base=tools.base, options=checked.store_options())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_is_found_by_its_name() -> None:
    assert connector_class("archive") is ArchiveConnector


def test_keeps_files_and_facts(shelf: Any, place: ArchiveConnector, folder: Path, hostile: str) -> None:
    published = place.publish(shelf.publication(title=hostile))
    kept = folder / "story-1"
    assert names(kept) == FILES
    assert (kept / "video.mp4").read_bytes() == shelf.video.read_bytes()
    assert (kept / "poster.jpg").read_bytes() == shelf.poster.read_bytes()
    assert (kept / "captions.vtt").read_text() == shelf.captions
    assert (kept / "story.json").read_text().endswith("}\n"), "a text file, for tools that read lines"
    facts = json.loads((kept / "story.json").read_text())
    assert facts["video"]["sha256"] == shelf.sha256
    assert facts["story"]["title"] == clean(hostile)
    assert facts["snapshot"]["extra"] == [1, {"deep": True}]
    assert facts["storyrelay"]["message_id"] == "step-1"
    assert published.url is not None
    assert published.url.endswith("story-1/video.mp4")


def test_a_story_without_poster_and_captions(shelf: Any, place: ArchiveConnector, folder: Path) -> None:
    shelf.poster = shelf.captions = None
    place.publish(shelf.publication())
    assert names(folder / "story-1") == ["story.json", "video.mp4"]
    facts = json.loads((folder / "story-1" / "story.json").read_text())
    assert (facts["poster"], facts["captions"]) == (None, None)


def test_what_is_whole_is_not_written_again(shelf: Any, place: ArchiveConnector, folder: Path) -> None:
    place.publish(shelf.publication())
    before = (folder / "story-1" / "video.mp4").stat().st_mtime_ns
    assert place.publish(shelf.publication()).remark == "was there already"
    assert (folder / "story-1" / "video.mp4").stat().st_mtime_ns == before
    assert place.publish(shelf.publication(repeat=1)).remark != "was there already"
    assert (folder / "story-1" / "video.mp4").stat().st_mtime_ns > before


@pytest.mark.parametrize("damage", ["cut", "other", "no facts", "strange facts", "broken facts"])
def test_what_is_not_whole_is_mended(
    shelf: Any, place: ArchiveConnector, folder: Path, store: ObjectStore, damage: str
) -> None:
    place.publish(shelf.publication())
    if damage == "cut":
        store.put_bytes("story-1/video.mp4", b"cut", content_type="video/mp4")
    elif damage == "other":
        shelf.sha256 = "cd" * 32
    elif damage == "no facts":
        store.delete("story-1/story.json")
    else:
        facts = b"[]" if damage == "strange facts" else b"{"
        store.put_bytes("story-1/story.json", facts, content_type="application/json")
    place.publish(shelf.publication())
    assert (folder / "story-1" / "video.mp4").read_bytes() == shelf.video.read_bytes()
    assert json.loads(store.read_bytes("story-1/story.json"))["video"]["sha256"] == shelf.sha256


def test_a_crash_between_the_files_leaves_no_mark_of_wholeness(
    shelf: Any, place: ArchiveConnector, folder: Path
) -> None:
    place.publish(shelf.publication())
    good, shelf.poster = shelf.poster, shelf.poster.with_name("gone.jpg")
    with pytest.raises(Exception, match=r"gone\.jpg"):
        place.publish(shelf.publication(repeat=1))
    assert "story.json" not in names(folder / "story-1")
    shelf.poster = good
    place.publish(shelf.publication(repeat=1))
    assert names(folder / "story-1") == FILES


def test_later_revisions_stand_beside_the_first(shelf: Any, place: ArchiveConnector, folder: Path) -> None:
    place.publish(shelf.publication())
    place.publish(shelf.publication(message="step-2", revision=2))
    assert names(folder / "story-1") == FILES
    assert names(folder / "story-1" / "r2") == FILES


@pytest.mark.parametrize("story_id", ["../../escape", "a/b", "..", "", "C:\\x", "x" * 300, "né\n"])
def test_no_story_id_leaves_the_folder(shelf: Any, tools: ConnectorTools, story_id: str) -> None:
    published = ArchiveConnector(ArchiveOptions(path="published"), tools).publish(
        shelf.publication(id=story_id)
    )
    path = Path(unquote((published.url or "").removeprefix("file://")))
    assert path.is_file()
    assert path.parent.parent == tools.base / "published"
    assert json.loads((path.parent / "story.json").read_text())["story"]["id"] == story_id


def test_notices_tests_and_checks(place: ArchiveConnector, folder: Path, notice: Notice) -> None:
    assert "can be written and read" in place.check()
    assert "removed" in place.send_test().remark
    place.notify(notice)
    (kept,) = (folder / "notices").iterdir()
    assert json.loads(kept.read_text())["title"] == notice.title
    assert names(folder) == []


def test_a_wrong_key_is_refused(shelf: Any, tools: ConnectorTools, s3_options: Mapping[str, Any]) -> None:
    wrong = ArchiveOptions(**{**s3_options, "secret_access_key": "t0ps3cret"})
    with pytest.raises(DeliveryFailed) as failed:
        ArchiveConnector(wrong, tools).publish(shelf.publication())
    assert failed.value.refused
    assert "t0ps3cret" not in str(failed.value) + repr(wrong)


def test_a_folder_that_cannot_be_written(shelf: Any, tools: ConnectorTools) -> None:
    (tools.base / "published").write_text("a file stands here")
    place = ArchiveConnector(ArchiveOptions(path="published"), tools)
    for act in (lambda: place.publish(shelf.publication()), place.check, place.send_test):
        with pytest.raises(DeliveryFailed, match="published"):
            act()


def test_a_large_video_takes_flat_memory(shelf: Any, place: ArchiveConnector, folder: Path) -> None:
    with shelf.video.open("r+b") as file:
        file.truncate(64 * 2**20)
    tracemalloc.start()
    place.publish(shelf.publication())
    assert (folder / "story-1" / "video.mp4").stat().st_size == 64 * 2**20
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 * 2**20


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"path": ""}, "at least 1"),
        ({"path": "x", "region": "eu"}, "s3://"),
        ({"path": "s3://shelf", "access_key_id": "x"}, "belong together"),
        ({"path": "s3://"}, "s3://bucket/prefix"),
        ({"path": "ftp://x/y"}, "no kind of store"),
        ({"path": "x", "paht": "y"}, "Extra inputs"),
    ],
)
def test_options_are_checked(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ArchiveOptions(**options)


def test_signed_addresses_lose_their_query(shelf: Any, place: ArchiveConnector, folder: Path) -> None:
    snapshot = {
        "id": "story-1",
        "video_url": "https://cdn.example/v.mp4?X-Amz-Signature=SIGNED",
        "storyboard": {"scenes": [{"image_url": "https://cdn.example/i.png?token=T"}]},
        "idea": "see https://example.com/?sig=1 and https://example.com/page?id=3",
        "page": "https://example.com/page?id=3",
    }
    place.publish(shelf.publication(snapshot=snapshot))
    kept = json.loads(next(folder.rglob("story.json")).read_text())["snapshot"]
    assert kept["video_url"] == "https://cdn.example/v.mp4"
    assert kept["storyboard"]["scenes"][0]["image_url"] == "https://cdn.example/i.png"
    assert (kept["page"], kept["idea"]) == (snapshot["page"], snapshot["idea"])
