import errno
import importlib.metadata
import os
import sqlite3
import subprocess
import sys

import click
import pytest
from sqlalchemy.exc import OperationalError

from service import VERSION
from service.cli import catalogue
from service.cli.failures import told
from service.cli.program import storyrelay

LISTED = [each for _, listed in catalogue.SECTIONS for each in listed]


def test_help_names_every_command_in_its_section_with_one_line(bare):
    printed = bare.done("--help").stdout
    for title, listed in catalogue.SECTIONS:
        assert f"{title}:" in printed
        for each in listed:
            assert f"  {each.name} " in printed
            assert each.summary in printed
    positions = [printed.index(f"\n  {each.name} ") for each in LISTED]
    assert positions == sorted(positions)


def test_no_command_at_all_shows_the_help(bare):
    result = bare.run()
    assert result.exit_code == 2
    assert "Usage: storyrelay" in result.stderr


@pytest.mark.parametrize("name", [each.name for each in LISTED])
def test_every_listed_command_is_there_and_explains_itself(bare, name):
    printed = bare.done(name, "--help").stdout
    assert f"Usage: storyrelay {name}" in printed
    assert len(printed.splitlines()) > 4


def test_version(bare):
    assert bare.done("--version").stdout == f"storyrelay, version {VERSION}\n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("storys", "stories"),
        ("sumbit", "submit"),
        ("webhook_url", "webhook-url"),
        ("docter", "doctor"),
        ("wroker", "worker"),
    ],
)
def test_a_wrong_command_gets_the_nearest_right_one(bare, typed, meant):
    result = bare.run(typed)
    assert result.exit_code == 2
    assert f"'{meant}'" in result.stderr
    assert result.stdout == ""


def test_a_word_like_nothing_gets_no_wild_guess(bare):
    result = bare.run("xyzzy")
    assert result.exit_code == 2
    assert "No such command 'xyzzy'." in result.stderr
    assert "mean" not in result.stderr


def test_a_wrong_option_gets_the_nearest_right_one(bare):
    result = bare.run("stories", "--sate", "open")
    assert result.exit_code == 2
    assert "--state" in result.stderr


@pytest.fixture
def plug_in(monkeypatch):
    """Adds a command to the entry-point group, as an installed package would."""

    def add(name: str, value: str) -> None:
        point = importlib.metadata.EntryPoint(name, value, catalogue.GROUP)
        monkeypatch.setattr(catalogue, "installed", lambda _group: {name: point})

    return add


@click.command()
def greet() -> None:
    """Greets."""
    click.echo("hello")


def test_a_command_of_another_package_is_listed_and_runs(bare, plug_in, monkeypatch):
    plug_in("greet", "greeting:greet")
    monkeypatch.setitem(sys.modules, "greeting", sys.modules[__name__])
    assert "greet        Added by greeting." in bare.done("--help").stdout
    assert bare.done("greet").stdout == "hello\n"


@pytest.mark.parametrize(
    "value", ["no_such_package.commands:greet", "service.cli.catalogue:no_such_thing", "service:VERSION"]
)
def test_a_broken_plug_in_breaks_only_itself(bare, plug_in, value):
    plug_in("greet", value)
    assert "greet" in bare.done("--help").stdout
    assert bare.done("estimate", "idea", "x").exit_code == 0
    result = bare.run("greet")
    assert result.exit_code == 1
    assert "'greet'" in result.stderr
    assert value in result.stderr


def interrupt(_point):
    raise KeyboardInterrupt


@pytest.mark.parametrize(("name", "code"), [("up", 0), ("scheduler", 0), ("stories", 1)])
def test_ctrl_c_while_a_command_loads_ends_as_it_would_later(bare, monkeypatch, name, code):
    monkeypatch.setattr(importlib.metadata.EntryPoint, "load", interrupt)
    result = bare.run(name)
    assert result.exit_code == code
    assert ("Aborted" in result.output) == (code != 0)


def test_a_plug_in_never_replaces_a_command_of_ours(bare, plug_in):
    plug_in("stories", "no_such_package:stories")
    assert "List the stories" in bare.done("stories", "--help").stdout


def test_an_unknown_error_keeps_its_traceback(bare, monkeypatch):
    def broken(_context):
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(storyrelay.get_command(click.Context(storyrelay), "estimate"), "invoke", broken)
    with pytest.raises(ZeroDivisionError):
        bare.run("estimate", "idea", "x")


def test_help_loads_neither_the_ledger_nor_the_queue():
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from service.cli.program import storyrelay\n"
        "assert CliRunner().invoke(storyrelay, ['--help']).exit_code == 0\n"
        "print([name for name in ('sqlalchemy', 'rq', 'pydantic', 'flask', 'av') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "words",
    [("stories",), ("show", "x"), ("track", "story-1"), ("replay", "x"), ("reconcile",), ("send-test", "x")],
)
def test_a_ledger_that_is_not_there_is_told_without_making_one(bare, words):
    result = bare.run(*words, SECRET_KEYS="k" * 20, STORY_API_KEY="k")
    assert result.exit_code == 2
    assert "storyrelay migrate" in result.stderr
    assert "Traceback" not in result.output
    assert not (bare.path / "var" / "ledger.sqlite3").exists()


def test_a_ledger_without_tables_is_told(bare):
    (bare.path / "var").mkdir(exist_ok=True)
    (bare.path / "var" / "ledger.sqlite3").touch()
    result = bare.run("stories")
    assert result.exit_code == 2
    assert "revision None" in result.stderr
    assert "storyrelay migrate" in result.stderr


def test_a_postgresql_without_tables_is_told_until_it_is_migrated(bare, empty_postgres_url):
    result = bare.run("stories", DATABASE_URL=empty_postgres_url)
    assert result.exit_code == 2
    assert "storyrelay migrate" in result.stderr
    bare.done("migrate", DATABASE_URL=empty_postgres_url)
    assert bare.json("stories", DATABASE_URL=empty_postgres_url) == {"stories": [], "counts": {}}


def test_a_folder_of_somebody_else_is_told():
    said = told(PermissionError(errno.EACCES, "Permission denied", "/srv/relay/var"))
    assert said is not None
    assert "/srv/relay/var" in said.message


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "Let this user write to /srv/relay (whose is it?), or set STORYRELAY_HOME"),
        (errno.EROFS, "Let this user write to /srv/relay (whose is it?), or set STORYRELAY_HOME"),
        (errno.ENOSPC, "Make room there, or set STORYRELAY_HOME"),
    ],
)
def test_a_folder_that_can_t_be_written_is_told_with_what_to_do(number, advice):
    said = told(OSError(number, os.strerror(number), "/srv/relay/var"))
    assert said is not None
    assert f"/srv/relay/var can't be written: {os.strerror(number)}. {advice}" in said.message


def test_another_error_of_the_system_is_a_mistake_of_ours():
    assert told(OSError(errno.EBADF, "Bad file descriptor")) is None


def test_what_make_private_says_is_told_as_it_is():
    said = told(PermissionError("/srv/relay/var belongs to somebody else; remove it, or use another folder"))
    assert said is not None
    assert said.message.startswith("/srv/relay/var belongs to somebody else")


@pytest.mark.parametrize("words", ["attempt to write a readonly database", "unable to open database file"])
def test_a_ledger_file_that_can_t_be_written_names_its_folder(home, monkeypatch, words):
    monkeypatch.setenv("STORYRELAY_HOME", str(home.path))
    said = told(OperationalError("COMMIT", {}, sqlite3.OperationalError(words)))
    assert said is not None
    assert said.exit_code == 1
    assert said.message.startswith(
        f"the ledger can't be written: {words}. Let this user write to {home.path}/var"
    )


@pytest.mark.parametrize("words", [("stories",), ("show", "story-1"), ("reconcile",), ("replay", "story-1")])
def test_looking_in_a_wrong_folder_leaves_nothing_there(bare, words):
    assert bare.run(*words).exit_code == 2
    assert list(bare.path.iterdir()) == []


def test_a_file_that_is_no_ledger_is_told(bare):
    (bare.path / "var").mkdir(exist_ok=True)
    (bare.path / "var" / "ledger.sqlite3").write_bytes(
        b"this is no database, but long enough to be read as one" * 40
    )
    result = bare.run("stories")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert "not a database" in result.stderr


def test_a_ledger_server_that_is_away_is_told_without_its_password(bare):
    result = bare.run("stories", DATABASE_URL="postgresql://someone:hunter2hunter2@127.0.0.1:1/relay")
    assert result.exit_code == 1
    assert "the ledger does not answer" in result.stderr
    assert "hunter2" not in result.output


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"PORT": "many"}, "PORT"),
        ({"STORYRELAY_LOGLEVEL": "info"}, "STORYRELAY_LOG_LEVEL"),
        ({"SECRET_KEYS": "short"}, "SECRET_KEYS"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL"),
        ({"STORYRELAY_HOME": "/no/such/folder"}, "STORYRELAY_HOME"),
    ],
)
@pytest.mark.parametrize(
    "words", [("stories",), ("migrate",), ("webhook-url", "--route", "all"), ("worker",), ("scheduler",)]
)
def test_wrong_settings_end_every_command_with_2(bare, words, env, said):
    result = bare.run(*words, **env)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_wrong_configuration_names_the_file_and_the_key(home):
    (home.path / "storyrelay.toml").write_text(
        '[[routes]]\nname = "all"\ndestinations = ["shelv"]\n[destinations.shelf]\nconnector = "archive"\npath = "p"\n'
    )
    result = home.run("stories")
    assert result.exit_code == 2
    for part in ("storyrelay.toml", "routes.all.destinations", "'shelf'"):
        assert part in result.stderr


def test_the_module_runs_as_the_script_does(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", "storys"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={"PATH": "/usr/bin", "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage: storyrelay " in done.stderr
    assert "'stories'" in done.stderr
