import pytest

from service.domain.notices import Audience, NoticeKind, Trouble
from service.domain.states import Origin, Outcome, StepKind, StepState, StoryState, Verdict
from service.ledger import notices, receipts, stories
from service.ledger import steps as step_rows
from service.ledger.receipts import Receipt
from service.media_url import MediaUrls


@pytest.fixture
def full(home, book, now):
    """A story that met most of what can happen to one."""
    key = book.settled(
        "story-1", {"shelf": StepState.DONE, "attic": StepState.DEAD}, origin=Origin.SUBMITTED, kind="idea",
        title="A day", estimated_credits=150, used_credits=150.0, noticed_by="webhook", labels={"team": "brand"},
        api_status="success", progress=100,
    )  # fmt: skip
    step = book.step(key, StepKind.DELIVER, "attic", StepState.DEAD, last_error="the attic is locked")
    book.step(key, StepKind.DELIVER, "shelf", StepState.DONE, url="file:///shelf/story-1", remark="kept")
    with home.ledger.write() as tx:
        for verdict, body in (
            (Verdict.ACCEPTED, b'{"batch_id": "story-1"}'),
            (Verdict.DUPLICATE, b"\xff\x1b[2J"),
        ):
            receipt = Receipt(
                "submission", verdict, body, "application/json", "192.0.2.7", now, "story-1", "success", key
            )
            receipts.add(tx, [receipt])
        trouble = Trouble("key", NoticeKind.DELIVERY_DEAD, "Not delivered to attic", "locked", story=key)
        notices.add(tx, trouble, Audience(), now)
    claimed = book.attempt(step)
    with home.ledger.write() as tx:
        step_rows.end(tx, claimed, now, StepState.DEAD, {"last_error": "the attic is locked"})
        step_rows.end_attempt(tx, claimed, now, Outcome.DEAD, "the attic is locked")
    return key


def test_programs_get_everything(home, full):
    told = home.json("show", "story-1")
    assert told.keys() == {
        "story", "timeline", "destinations", "video", "steps", "attempts", "receipts", "notices",
        "approvals",
    }  # fmt: skip
    assert told["story"]["id"] == "story-1"
    assert [(each["destination"], each["state"]) for each in told["destinations"]] == [
        ("shelf", "done"),
        ("attic", "dead"),
    ]
    assert told["destinations"][0]["url"] == "file:///shelf/story-1"
    assert told["destinations"][1]["last_error"] == "the attic is locked"
    assert [each["verdict"] for each in told["receipts"]] == ["accepted", "duplicate"]
    assert told["receipts"][0]["body"] == '{"batch_id": "story-1"}'
    assert [each["outcome"] for each in told["attempts"]] == ["dead"]
    assert [each["title"] for each in told["notices"]] == ["Not delivered to attic"]


def test_the_timeline_is_in_order(home, full):
    timeline = home.json("show", "story-1")["timeline"]
    assert [each["at"] for each in timeline] == sorted(each["at"] for each in timeline)
    assert timeline[0]["what"] == "submitted"
    assert {each["what"] for each in timeline} == {
        "submitted", "webhook", "deliver attic", "finished", "notice", "settled",
    }  # fmt: skip


def test_people_get_a_timeline_the_places_and_the_video(home, full):
    printed = home.done("show", "story-1").stdout
    for part in (
        "as idea, about 150 credits", "accepted", "duplicate", "claims success of story-1", "192.0.2.7",
        "the attic is locked", "file:///shelf/story-1", "15.0 s, 640×360, 1.2 MB, h264 + aac", "ab" * 32,
        "team=brand", "Not delivered to attic", "noticed by webhook",
    ):  # fmt: skip
        assert part in printed


def test_the_files_and_links_of_the_video(home, full, keys):
    files = home.json("show", "story-1")["video"]["files"]
    assert [each["name"] for each in files] == ["video.mp4", "poster.jpg"]
    assert files[0]["path"] == str(home.path / "var" / "videos" / "v" / "r1" / "video.mp4")
    token = files[0]["url"].rpartition("/")[2]
    assert MediaUrls("http://127.0.0.1:8000", (keys,)).read(token).key == "v/r1/video.mp4"


def test_each_link_says_what_it_leads_to(home, full):
    printed = home.done("show", "story-1").stdout.splitlines()
    links = dict(line.split() for line in printed if "/media/" in line)
    assert list(links) == ["video.mp4", "poster.jpg"]
    assert all(link.startswith("http") for link in links.values())


def test_without_keys_there_are_no_links_but_all_else(home, full):
    told = home.json("show", "story-1", SECRET_KEYS="")
    assert [each["url"] for each in told["video"]["files"]] == [None, None]
    assert "video.mp4" in home.done("show", "story-1", SECRET_KEYS="").stdout


def test_an_object_store_is_named_without_its_secrets(home, full):
    store = "s3://bucket/prefix?secret_access_key=hunter2&access_key_id=me&region=eu"
    result = home.done("show", "story-1", "--json", VIDEO_STORE=store)
    assert "s3://bucket/prefix/v/r1/video.mp4" in result.stdout
    assert "hunter2" not in result.output


def test_a_store_that_can_t_be_meant_hides_nothing_else(home, full):
    told = home.json("show", "story-1", VIDEO_STORE="s3://bucket?colour=red")
    assert told["video"]["files"][0]["path"] is None
    assert told["story"]["id"] == "story-1"


def test_an_open_story_tells_what_comes_next(home, book, now):
    key = book.story("story-2", next_poll_at=now)
    book.step(key, StepKind.FETCH, "", StepState.PENDING, last_error="the Story API answered 500")
    printed = home.done("show", "story-2").stdout
    assert "fetch (pending)" in printed
    assert "the Story API answered 500" in printed
    assert "poll, if no webhook comes" in printed
    assert home.json("show", "story-2")["video"] is None


def test_only_the_newest_delivery_to_a_place_is_its_state(home, book):
    key = book.settled("story-3", {"shelf": StepState.DEAD})
    book.step(key, StepKind.DELIVER, "shelf", StepState.DONE, revision=2)
    told = home.json("show", "story-3")
    assert [(each["revision"], each["state"]) for each in told["destinations"]] == [(2, "done")]
    assert len([each for each in told["steps"] if each["kind"] == "deliver"]) == 2


@pytest.mark.parametrize(
    "name", ["story-abcdef", "sub-story-abcdef", "story-a", "sub-story-a", " story-abcdef "]
)
def test_a_story_goes_by_its_ids_and_their_only_beginning(home, book, name):
    book.story("story-abcdef")
    book.story("story-xyz")
    assert home.json("show", name)["story"]["id"] == "story-abcdef"


def test_an_exact_id_wins_over_longer_ones(home, book):
    for name in ("story-1", "story-12", "story-123"):
        book.story(name)
    assert home.json("show", "story-1")["story"]["id"] == "story-1"


def test_a_beginning_of_several_lists_them(home, book):
    for number in range(15):
        book.story(f"story-{number}", title=f"\x1b[31mtitle {number}")
    result = home.run("show", "story-")
    assert result.exit_code == 1
    assert result.stderr.count("story-") >= 10
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize("name", ["STORY-ABCDEF", "nothing", "story_abcdef", "story-abcdef\udcff", "\x1b[2J"])
def test_what_names_no_story_is_told(home, book, name):
    book.story("story-abcdef")
    result = home.run("show", name)
    assert result.exit_code == 1
    assert "no story" in result.stderr
    assert "\x1b" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["show", "replay"])
@pytest.mark.parametrize("name", ["sto", "", "%"])
def test_a_beginning_that_is_too_short_is_wrong_use(home, book, name, command):
    book.story("story-abcdef")
    result = home.run(command, name)
    assert result.exit_code == 2
    assert "give at least 4 characters" in result.stderr


def test_a_whole_id_may_be_short(home, book):
    book.story("abc")
    book.story("abcdef")
    assert home.json("show", "abc")["story"]["id"] == "abc"
    assert home.json("show", "abcd")["story"]["id"] == "abcdef"


def test_a_story_without_an_id_of_the_story_api(home, book):
    book.story("x", StoryState.UNCONFIRMED, story_id=None, origin=Origin.SUBMITTED, message="no answer")
    told = home.json("show", "sub-x")
    assert (told["story"]["id"], told["story"]["message"]) == (None, "no answer")
    assert "(not known yet)" in home.done("show", "sub-x").stdout


def test_reading_changes_nothing(home, full):
    with home.ledger.read() as tx:
        before = stories.read(tx, full)
    home.done("show", "story-1")
    assert home.story(full) == before
