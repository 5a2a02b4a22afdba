import json
import tempfile
import tracemalloc
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from damaging_proxy import GOOD, damaging_proxy
from forking_archive import ForkedArchive, archive, forking_process
from pydantic import ValidationError

from handlers.connectors.archive import ArchiveConnector, ArchiveOptions
from handlers.message_text import BrokenTemplate, clean
from service.connector_contract import ConnectorContract, Faults, Place, Seen, Story, new_story
from service.connector_contract.contract import FLAT, LARGE
from service.connectors import Connector, ConnectorTools, connector_class
from service.domain.delivery import DeliveryFailed, Notice, Publication, Withdrawal
from service.video_store import ObjectStore, open_store

HEX = "?" * 32
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


def withdrawal(publication: Publication, **changes: Any) -> Withdrawal:
    made = Withdrawal(
        story=publication.story,
        destination=publication.destination,
        key=publication.key,
        message_id="withdrawn",
        at=datetime(2026, 3, 5, tzinfo=UTC),
        reference=publication.reference,
        save=publication.save,
        check=lambda: None,
    )
    return replace(made, **changes)


def test_a_withdrawal_deletes_each_revision_and_nothing_of_others(
    shelf: Any, place: ArchiveConnector, folder: Path, store: ObjectStore
) -> None:
    place.publish(shelf.publication())
    place.publish(shelf.publication(message="step-2", revision=2))
    place.publish(shelf.publication(id="story-11"))
    store.put_bytes("story-1/notes.txt", b"somebody's own", content_type="text/plain")
    shelf.saved = {}  # the attempt died before it could save anything
    told = place.withdraw(withdrawal(shelf.publication(revision=2)))
    assert told.remark == "deleted story-1, story-1/r2"
    assert [path.name for path in folder.joinpath("story-1").rglob("*") if path.is_file()] == ["notes.txt"]
    assert names(folder / "story-11") == FILES
    assert place.withdraw(withdrawal(shelf.publication(revision=2))).remark == "was gone already"


def test_a_withdrawal_of_what_a_crash_left(
    shelf: Any, place: ArchiveConnector, folder: Path, store: ObjectStore
) -> None:
    store.put_bytes("story-1/video.mp4", b"half of a publication", content_type="video/mp4")
    assert place.withdraw(withdrawal(shelf.publication())).remark == "deleted story-1"
    assert not list(folder.rglob("video.mp4"))


def test_another_destinations_files_stay(shelf: Any, place: ArchiveConnector, folder: Path) -> None:
    place.publish(shelf.publication())
    told = place.withdraw(withdrawal(shelf.publication(), key="storyrelay-1-other"))
    assert "story-1 is another destination's" in told.remark
    assert names(folder / "story-1") == FILES


def named(options: Mapping[str, Any], tools: ConnectorTools, key: str) -> ArchiveConnector:
    return ArchiveConnector(ArchiveOptions(**{**options, "key": key}), tools)


@pytest.mark.parametrize(
    ("key", "story", "stands"),
    [
        ('{{ story.created_at|date("%Y/%m") }}/{{ story.id }}', {}, "2026/03/story-1"),
        ('{{ story.created_at|date("%Y") }}/{{ story.id }}', {"created_at": None}, "undated/story-1"),
        ("{{ story.labels.team }}/{{ story.id }}", {"labels": {"team": "brand"}}, "brand/story-1"),
        ("{{ destination }}-{{ story.language }}/{{ story.id }}", {}, f"team-english-x{HEX}/story-1"),
        ("{{ story.title }}/{{ story.id }}", {"title": "../../x"}, f"x-x{HEX}/story-1"),
        ("{{ story.title }}/{{ story.id }}", {"title": ".incoming"}, f"incoming-x{HEX}/story-1"),
        ("{{ story.title ~ '/..' }}/{{ story.id }}", {"title": "a\0b"}, f"ab-x{HEX}/story-1"),
        ("{{ story.title|safe }}/{{ story.id }}", {"title": ".."}, BrokenTemplate),
    ],
)
def test_the_folder_is_named_by_a_template(
    shelf: Any,
    options: Mapping[str, Any],
    tools: ConnectorTools,
    folder: Path,
    key: str,
    story: dict[str, Any],
    stands: str | type[BrokenTemplate],
) -> None:
    place = named(options, tools, key)
    if not isinstance(stands, str):
        with pytest.raises(stands):
            place.publish(shelf.publication(**story))
        return
    place.publish(shelf.publication(**story))
    (found,) = [path.parent for path in folder.rglob("story.json")]
    assert fnmatchcase(found.relative_to(folder).as_posix(), stands)
    place.withdraw(withdrawal(shelf.publication(**story)))
    assert not list(folder.rglob("*.mp4"))


def test_a_title_in_the_key_that_changes_leaves_nothing_behind(
    shelf: Any, options: Mapping[str, Any], tools: ConnectorTools, folder: Path
) -> None:
    place = named(options, tools, "{{ story.title }}/{{ story.id }}")
    shelf.saved = dict(place.publish(shelf.publication()).reference)
    later = shelf.publication(title="Other", message="step-2", revision=2)
    shelf.saved = dict(place.publish(later).reference)
    assert len(list(folder.rglob("video.mp4"))) == 2
    place.withdraw(withdrawal(shelf.publication(title="Third", revision=2)))
    assert not [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("key", ["all", "{{ story.title }}", "x/{{ story.id[:5] }}", "{{ story.id|length }}"])
def test_no_two_stories_share_a_folder(tools: ConnectorTools, key: str) -> None:
    with pytest.raises(BrokenTemplate, match="two stories would share a folder"):
        named({"path": "published"}, tools, key)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("{{ story.idd }}", "idd"),
        ("{{ story.id ", "fails"),
        ("/{{ story.id }}", "relative path"),
        ("../{{ story.id }}", "relative path"),
        (".incoming/{{ story.id }}", "isn't whole"),
        ("{{ story.__class__ }}/{{ story.id }}", "fails"),
    ],
)
def test_a_broken_key_is_told_at_start(tools: ConnectorTools, key: str, says: str) -> None:
    with pytest.raises(BrokenTemplate, match=says):
        named({"path": "published"}, tools, key)


def test_a_folder_that_holds_another_story_is_left_alone(
    shelf: Any, place: ArchiveConnector, folder: Path, store: ObjectStore
) -> None:
    place.publish(shelf.publication())
    facts = store.read_bytes("story-1/story.json").replace(b'"id": "story-1"', b'"id": "story-2"')
    store.put_bytes("story-1/story.json", facts, content_type="application/json")
    with pytest.raises(DeliveryFailed, match="holds story story-2 already") as failed:
        place.publish(shelf.publication(repeat=1))
    assert failed.value.permanent
    assert store.read_bytes("story-1/story.json") == facts


def test_a_preview_writes_nothing(shelf: Any, place: ArchiveConnector, folder: Path) -> None:
    shelf.captions = None
    facts, keys = place.preview(shelf.publication(revision=2))
    assert (facts.name, keys.name) == ("story.json", "keys.txt")
    assert not list(folder.rglob("*"))
    place.publish(shelf.publication(revision=2))
    assert facts.text.encode() == (folder / "story-1" / "r2" / "story.json").read_bytes()
    assert [key.rpartition("/")[2] for key in sorted(keys.text.splitlines())] == names(
        folder / "story-1" / "r2"
    )
    assert all("/story-1/r2/" in key for key in keys.text.splitlines())


def test_what_readers_are_told_of_the_files(
    shelf: Any, tools: ConnectorTools, s3_options: Mapping[str, Any]
) -> None:
    more = {"cache_control": "public, max-age=60", "disposition": "attachment", "checksum": "sha256"}
    place = ArchiveConnector(ArchiveOptions(**s3_options, **more), tools)
    place.publish(shelf.publication(title='Zürich "A/B"\r\nX-Evil: 1'))
    told = {}
    for name in FILES:
        url = place.store.presigned_url(f"story-1/{name}", 60)
        assert url is not None
        with urllib.request.urlopen(url) as answer:
            told[name] = (answer.headers["Content-Type"], answer.headers["Content-Disposition"])
            assert answer.headers["Cache-Control"] == "public, max-age=60"
            assert answer.headers["X-Evil"] is None
    assert told["video.mp4"] == (
        "video/mp4",
        'attachment; filename="Z-rich--A-B--X-Evil--1.mp4"; '
        "filename*=UTF-8''Z%C3%BCrich%20%22A-B%22%20X-Evil%3A%201.mp4",
    )
    assert told["story.json"] == ("application/json", None)


def test_an_upload_that_is_damaged_on_its_way_is_tried_again(
    shelf: Any, tools: ConnectorTools, s3_options: Mapping[str, Any]
) -> None:
    shelf.video.write_bytes(GOOD * 100)
    with damaging_proxy(s3_options["endpoint"]) as endpoint:
        place = ArchiveConnector(ArchiveOptions(**{**s3_options, "endpoint": endpoint}), tools)
        with pytest.raises(DeliveryFailed, match="arrived damaged") as failed:
            place.publish(shelf.publication())
    assert (failed.value.permanent, failed.value.refused) == (False, False)
    assert not list((tools.base / "s3").rglob("story.json"))
    ArchiveConnector(ArchiveOptions(**s3_options), tools).publish(shelf.publication())
    kept = tools.base / "s3" / "shelf" / "published" / "story-1" / "video.mp4"
    assert kept.read_bytes() == shelf.video.read_bytes()


@dataclass(frozen=True)
class Shelves:
    """An archive, and the disk that it ends up on."""

    options: Mapping[str, Any]
    base: Path
    disk: Path
    process: Path | None = None

    def connector(self, faults: Faults) -> Connector:
        if self.process is None:
            return archive(self.options, self.base, faults)
        forked: Any = ForkedArchive(self.process, self.options, self.base, faults)
        return forked

    def seen(self, key: str) -> Sequence[Seen]:
        found = []
        for path in self.disk.rglob("story.json"):
            facts = json.loads(path.read_text())
            if facts["storyrelay"]["key"] == key:
                video = sha256((path.parent / "video.mp4").read_bytes()).hexdigest()
                seen = Seen(facts["story"]["title"], video, facts["storyrelay"]["message_id"])
                found.append((facts["story"]["revision"], seen))
        return [seen for _, seen in sorted(found, key=lambda one: one[0])]


class TestFolder(ConnectorContract):
    updates = False
    over_http = False

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        key = '{{ story.created_at|date("%Y/%m") }}/{{ story.id }}'
        return Shelves({"path": "published", "key": key}, tmp_path, tmp_path / "published")


@pytest.fixture(scope="module")
def process() -> Iterator[Path]:
    with ExitStack() as stack:
        # not below pytest's own folder: a socket's address is short
        address = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "socket"
        yield stack.enter_context(forking_process(address))


class TestS3(ConnectorContract):
    updates = False
    over_http = False

    @pytest.fixture
    def place(self, tmp_path: Path, s3_options: Mapping[str, Any], process: Path) -> Place:
        return Shelves(s3_options, tmp_path, tmp_path / "s3" / "shelf", process)

    def test_a_large_video_needs_no_memory(self, place: Place, tmp_path: Path) -> None:
        """As the contract's, whose process would not be the one that works."""
        story = large(new_story(tmp_path, title="Large"))
        connector: Any = place.connector(Faults())
        story.save(connector.publish(story.publication()).reference)
        assert 0 < connector.grown < FLAT
        self.stands_once(place, story)


def large(story: Story) -> Story:
    with story.video.open("ab") as file:
        padding = LARGE - story.video.stat().st_size
        file.write(padding.to_bytes(4, "big") + b"free" + bytes(padding - 8))
    return story
