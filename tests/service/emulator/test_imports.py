"""A misunderstanding that client and emulator share would hide from every test."""

import ast
import sys
from pathlib import Path

import service.emulator

PACKAGE = Path(service.emulator.__file__).parent
LIBRARIES = {"flask", "werkzeug", "pydantic", "av", "click"}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


def foreign(names: set[str]) -> set[str]:
    roots = LIBRARIES | set(sys.stdlib_module_names)
    return {n for n in names if n.split(".")[0] not in roots and not f"{n}.".startswith("service.emulator.")}


def test_the_emulator_imports_nothing_of_the_project_but_itself():
    modules = sorted(PACKAGE.rglob("*.py"))
    assert len(modules) > 20
    assert {m.name: foreign(imported(m)) for m in modules if foreign(imported(m))} == {}


def test_an_import_of_the_rest_would_be_found():
    names = {"service.story_api", "handlers.fetch", ".sibling", "service.emulator_x", "service", "requests"}
    assert foreign(names | {"service.emulator.app", "service.emulator", "av.video", "json"}) == names
