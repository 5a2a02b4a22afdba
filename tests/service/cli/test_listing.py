import contextlib
import os
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len

from service.domain.states import Origin, StepState, StoryState

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAINT = re.compile(r"\x1b\[[0-9;]*m")
HOSTILE = "\x1b]0;owned\x07\x1b[2J[red]bold[/red] :boom: \u202egnirts\x9b31m\r\nfake  settled [/] \ud83d<b>"


def test_stories_are_listed_newest_first(home, book):
    book.story("first", StoryState.SETTLED, title="One")
    book.story("second", StoryState.FAILED, title="Two", message="no more ideas")
    listed = home.json("stories")
    assert [row["id"] for row in listed["stories"]] == ["second", "first"]
    assert listed["counts"] == {"failed": 1, "settled": 1}
    assert listed["stories"][0]["message"] == "no more ideas"
    lines = home.done("stories").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["story", "second", "first"]
    assert "no more ideas" in lines[1]


def test_json_has_these_keys_for_programs(home, book):
    book.story("one", labels={"team": "brand"}, used_credits=12.5)
    [row] = home.json("stories")["stories"]
    assert row.keys() == {
        "id", "submission_id", "state", "title", "kind", "origin", "route", "labels", "message", "api_status",
        "progress", "revision", "noticed_by", "polls", "estimated_credits", "used_credits", "created_at",
        "webhook_at", "finished_at", "settled_at", "next_poll_at",
    }  # fmt: skip
    assert (row["labels"], row["used_credits"], row["settled_at"]) == ({"team": "brand"}, 12.5, None)
    assert datetime.fromisoformat(row["created_at"]).tzinfo is not None


def test_states_and_limit_narrow_the_list(home, book):
    for number in range(5):
        book.story(f"open-{number}")
    book.story("settled-1", StoryState.SETTLED)
    book.story("failed-1", StoryState.FAILED)
    listed = home.json("stories", "--state", "failed", "--state", "settled")
    assert [row["id"] for row in listed["stories"]] == ["failed-1", "settled-1"]
    assert [row["id"] for row in home.json("stories", "--limit", "2", "--state", "open")["stories"]] == [
        "open-4",
        "open-3",
    ]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--route", "all"), ["delivered"]),
        (("--destination", "shelf"), ["delivered"]),
        (("--label", "team=brand"), ["labelled"]),
        (("--label", "team="), []),
        (("--text", "light"), ["titled"]),
        (("--text", "titled"), ["titled"]),
        (("--from", "2026-03-02", "--to", "2026-04-01"), ["titled", "labelled"]),
        (("--from", "2026-03-02", "--to", "2026-03-03T12:00+00:00"), ["labelled"]),
        (("--text", "light", "--state", "failed"), []),
    ],
)
def test_all_that_is_asked_for_must_hold(home, book, words, wanted):
    book.settled("delivered", {"shelf": StepState.DONE})
    book.story("labelled", labels={"team": "brand"}, created_at=datetime(2026, 3, 2, 12, tzinfo=UTC))
    book.story("titled", title="The Lighthouse", created_at=datetime(2026, 3, 4, tzinfo=UTC))
    assert [row["id"] for row in home.json("stories", *words)["stories"]] == wanted
    if not wanted:
        assert "No story fits" in home.done("stories", *words).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--label", "brand"), "'brand' is no label: write NAME=VALUE"),
        (("--from", "soon"), "'soon' is no time"),
        (("--state", "opn"), "'opn' is none of submitting, unconfirmed, open"),
        (("--state", "opn"), "did you mean 'open'"),
        (("--limit", "0"), "--limit"),
        (("--limit", "many"), "many"),
        (("--stat",), "--state"),
        (("extra",), "extra"),
    ],
)
def test_wrong_use(home, words, said):
    result = home.run("stories", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_no_stories_are_an_empty_list_for_programs_and_a_hint_for_people(home):
    assert home.json("stories") == {"stories": [], "counts": {}}
    result = home.done("stories")
    assert result.stdout == ""
    assert "storyrelay submit" in result.stderr


def test_text_of_others_neither_moves_the_cursor_nor_forges_a_line(home, book):
    book.story("one", title=HOSTILE.replace("\ud83d", ""), message=HOSTILE.replace("\ud83d", ""))
    for words in (("stories",), ("stories", "--json"), ("show", "one")):
        printed = home.done(*words).stdout
        assert not set(printed) & set("\x1b\x07\x9b\r\u202e")
    table = home.done("stories").stdout.splitlines()
    assert len(table) == 2
    assert "[red]bold[/red] :boom:" in table[1]


def test_ids_are_never_cut(home, book):
    name = "s" * 200
    book.story(name, title="t" * 500)
    assert name in home.done("stories").stdout


def test_on_a_terminal_ids_are_whole_links_unbroken_and_codes_of_others_gone(home, book):
    name = "53be71f2-9ec8-42cf-b843-7f136605c329"
    book.settled(name, {"shelf": StepState.DONE}, title="\x1b]0;owned\x07" + "long title " * 20)
    listed, shown = on_a_terminal(home, "stories"), on_a_terminal(home, "show", name)
    assert name in listed
    assert "\x1b[32m" in listed, "a terminal gets colours"
    [link] = [line for line in shown.splitlines() if "/media/" in line and "video" not in line][:1]
    assert len(link) > 100
    assert "\x1b]" not in listed + shown
    assert "\x07" not in listed + shown


def test_80_columns_show_a_line_a_story_with_the_beginning_of_its_title(home, book):
    ids = ["53be71f2-9ec8-42cf-b843-7f136605c329", "8c1f9a52-0b7e-4a0b-9b0e-0d7f5a3e2c11"]
    book.story(ids[0], StoryState.UNCONFIRMED, title="A fox walks home through the snow", message="no answer")
    book.story(ids[1], StoryState.SETTLED, title="ねこが海で一日をすごす、とても長い題名", settled_at=NOON)
    heads, *lines = (PAINT.sub("", line) for line in on_a_terminal(home, "stories").splitlines())
    assert heads.split() == ["story", "state", "created", "title"]
    assert [line.split()[0] for line in lines] == ids[::-1]
    assert "A fox walks" in lines[1]
    assert [line.rstrip()[-1] for line in lines] == ["…", "…"], lines
    assert all(cell_len(line) <= 80 for line in lines)


def test_a_wide_terminal_gets_more(home, book):
    book.story("story-1", StoryState.SETTLED, title="A fox walks home", settled_at=NOON)
    printed = on_a_terminal(home, "stories", width=140)
    assert all(head in printed for head in ("settled", "noticed", "A fox walks home", "2026-03-01"))


def on_a_terminal(home, *words, width=80):
    """What a person sees on a terminal of so many columns."""
    master, slave = os.openpty()
    env = {name: value for name, value in home.env.items() if value and name != "NO_COLOR"}
    env |= {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin", "COLUMNS": str(width), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", *words], stdout=slave, stderr=subprocess.DEVNULL, env=env
    )
    os.close(slave)
    printed = b""
    with contextlib.suppress(OSError):  # Linux ends a terminal whose other side is closed with EIO
        while part := os.read(master, 65536):
            printed += part
    os.close(master)
    assert process.wait(60) == 0
    return printed.decode()


def test_a_submission_without_an_id_shows_its_own(home, book):
    book.story("x", StoryState.UNCONFIRMED, story_id=None, origin=Origin.SUBMITTED)
    assert "(sub-x)" in home.done("stories").stdout


def test_a_reader_that_leaves_early_is_no_error(home, book):
    for number in range(300):
        book.story(f"story-{number}", title="t" * 200)
    env = {name: value for name, value in home.env.items() if value} | {
        "PYTHONPATH": ":".join(sys.path),
        "PATH": "/usr/bin:/bin",
    }
    command = f"{sys.executable} -m service.cli stories --limit 300 --json | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, env=env)
    assert done.stdout == "{\n"
    assert done.stderr == ""
