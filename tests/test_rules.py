"""What the team agreed on, held by tests: a rule that nothing checks is a wish."""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from relayed import KEY, make_world
from werkzeug.routing import Map

from handlers.worker import HANDLERS, worker_counts
from service.cli import catalogue
from service.domain.states import StepKind
from service.settings import load_settings
from service.web import create_app

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for package in ("service", "handlers")
    for path in (ROOT / package).rglob("*.py")
    if "migrations/versions" not in path.as_posix()  # a migration is history: written once, as long as it is
)

LONGEST_FILE = 300
LONG_FILES = {
    "service/ledger/steps.py": "every transition of the step machine stands in one place",
    "service/ledger/tables.py": "every table of a story's way stands in one place, with its indexes",
    "service/ledger/stories.py": "every statement over the stories' table stands in one place",
}
LONGEST_FUNCTION = 60
LONG_FUNCTIONS: dict[str, str] = {}

SAYS_NOTHING = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "manager",
    "managers",
    "base",
    "misc",
}

OPEN_ROUTES = {
    "/webhooks/story/<token>": "the token is signed, and names what it opens",
    "/media/<token>": "the token is signed, names one file and expires",
    "/approve/<token>": "the token is signed, names one asking of one question, and answers it once",
    "/slack/interactions": "Slack signs what it sends, with a secret that the settings name",
    "/healthz": "says that the process answers, nothing else",
    "/readyz": "says ok, degraded or down of each part, and names no host",
    "/metrics": "open to the addresses and the token that the settings name",
    "/sign-in": "the way in; tries are limited",
    "/setup/<token>": "the token is signed and expires, and opens nothing once there is an account",
    "/api/v1/openapi.json": "what the calls take and answer: the same for everybody, and in this repository",
    "/static/<path:filename>": "style, script and icon: files of this program, the same for everybody",
}
"""Routes that anyone may ask without a login or a token, each with its reason."""

PROGRAMS_OF_THEIR_OWN = ("emulator", "stand_ins")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def inner_imports(tree: ast.AST) -> list[str]:
    return [f"{function.name}: {name}" for function in functions(tree) for name in imports(function)]


def long_functions(trees: Mapping[str, ast.AST], longest: int) -> dict[str, int]:
    lengths = {
        f"{file}:{function.name}": (function.end_lineno or 0) - function.lineno + 1
        for file, tree in trees.items()
        for function in functions(tree)
    }
    return {name: length for name, length in lengths.items() if length > longest}


def long_files(texts: Mapping[str, str], longest: int) -> dict[str, int]:
    lengths = {file: len(text.splitlines()) for file, text in texts.items()}
    return {file: length for file, length in lengths.items() if length > longest}


def words(names: list[str]) -> set[str]:
    return {
        word
        for name in names
        for word in re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    }


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    assert len(SOURCES) > 100
    return {name_of(path): path.read_text() for path in SOURCES}


@pytest.fixture(scope="module")
def trees(texts: dict[str, str]) -> dict[str, ast.Module]:
    return {file: ast.parse(text) for file, text in texts.items()}


def test_imports_stand_at_the_top_of_the_file(trees: dict[str, ast.Module]) -> None:
    assert {file: found for file, tree in trees.items() if (found := inner_imports(tree))} == {}


def test_no_file_and_no_class_has_a_name_that_says_nothing(trees: dict[str, ast.Module]) -> None:
    named = [part for file in trees for part in Path(file).with_suffix("").parts]
    classes = [
        node.name for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    ]
    assert words(named) & SAYS_NOTHING == set()
    assert words(classes) & SAYS_NOTHING == set()


def test_files_and_functions_are_short(texts: dict[str, str], trees: dict[str, ast.Module]) -> None:
    assert set(long_files(texts, LONGEST_FILE)) == set(LONG_FILES), "also an exception that is none any more"
    assert set(long_functions(trees, LONGEST_FUNCTION)) == set(LONG_FUNCTIONS)


def test_most_functions_and_files_are_much_shorter(
    texts: dict[str, str], trees: dict[str, ast.Module]
) -> None:
    lengths = sorted(long_functions(trees, 0).values())
    assert lengths[len(lengths) // 2] <= 8
    assert lengths[len(lengths) * 95 // 100] <= 30
    sizes = sorted(long_files(texts, 0).values())
    assert sizes[len(sizes) * 95 // 100] <= 250


def test_every_kind_of_step_has_a_handler_and_workers() -> None:
    kinds = set(StepKind)
    assert set(HANDLERS) == kinds
    counts = worker_counts(load_settings({}), None)
    queues = {kind.queue for kind in kinds}
    assert set(counts) == queues
    assert min(counts.values()) >= 1
    for kind in queues:
        assert worker_counts(load_settings({}), kind) == {kind: counts[kind]}


def test_every_route_is_open_for_a_reason(tmp_path: Path, sqlite_url: str) -> None:
    relay = make_world(tmp_path, sqlite_url, "", {"SECRET_KEYS": KEY}).relay
    app = create_app(relay)
    routes: Map = app.url_map
    views = app.view_functions
    asks_nobody = {
        rule.rule
        for rule in routes.iter_rules()
        if not getattr(views[rule.endpoint], "needed_role", None)
        and not getattr(views[rule.endpoint], "needed_scope", None)
    }
    assert asks_nobody == set(OPEN_ROUTES)
    relay.ledger.close()


@pytest.mark.parametrize("program", PROGRAMS_OF_THEIR_OWN)
def test_emulator_and_stand_ins_know_nothing_of_the_rest(program: str, trees: dict[str, ast.Module]) -> None:
    own = {file: tree for file, tree in trees.items() if file.startswith(f"service/{program}/")}
    assert len(own) > 4
    ours = {
        name
        for tree in own.values()
        for name in imports(tree)
        if name.split(".")[0] in ("service", "handlers")
    }
    assert {name for name in ours if not f"{name}.".startswith(f"service.{program}.")} == set()


def test_the_domain_needs_python_alone(trees: dict[str, ast.Module]) -> None:
    own = {
        name for file, tree in trees.items() if file.startswith("service/domain/") for name in imports(tree)
    }
    foreign = {name for name in own if name.split(".")[0] not in sys.stdlib_module_names}
    assert {name for name in foreign if not name.startswith("service.domain")} == set()


def test_whatever_is_caught_is_named(trees: dict[str, ast.Module]) -> None:
    assert (
        sorted(file for file, tree in trees.items() if catches_all(tree))
        == [
            "handlers/attempt.py",  # raised again, or as the interruption that caused it
            "handlers/step_machine.py",  # a mistake of ours is an attempt like any other: told and tried again
            "service/bulk_replaying.py",  # one story that can't be replayed keeps no other from its turn; it is told
            "service/cli/program.py",  # known errors become messages; the others are raised again
            "service/ledger/group_commit.py",  # each of the commit tries again alone, and raises what it meets
            "service/scheduling.py",  # one part of a pass that fails keeps no other from its turn; it is told
        ]
    )


def catches_all(tree: ast.AST) -> bool:
    return any(
        isinstance(node, ast.ExceptHandler) and (node.type is None or ast.unparse(node.type) == "Exception")
        for node in ast.walk(tree)
    )


def test_every_command_can_be_loaded() -> None:
    listed = [each for _, section in catalogue.sections() for each in section]
    assert len(listed) > 15
    for each in listed:
        point = catalogue.entry_point(each.name)
        assert point is not None, each.name
        assert point.load().name == each.name


def test_every_connector_says_what_its_options_are() -> None:
    points = entry_points(group="storyrelay.connectors")
    assert {point.name for point in points} >= {"archive", "email", "slack", "webhook"}
    for point in points:
        assert point.load().Options.model_config["extra"] == "forbid", point.name


BROKEN = ast.parse(
    "class DataManager:\n  def f(self):\n    import os\n    try:\n      pass\n    except Exception:\n      pass\n"
)


def test_what_breaks_a_rule_would_be_found() -> None:
    assert inner_imports(BROKEN) == ["f: os"]
    assert long_functions({"x.py": BROKEN}, 5) == {"x.py:f": 6}
    assert long_files({"x.py": "a\nb\n"}, 1) == {"x.py": 2}
    assert words(["DataManager", "http_utils"]) == {"data", "manager", "http", "utils"}
    assert catches_all(BROKEN)
