"""Every kind of notice stands in its table of docs/notices.md."""

import re
from pathlib import Path

from service.domain.notices import KINDS, LASTING

DOC = Path(__file__).parent.parent / "docs" / "notices.md"


def test_what_lasts_says_when_it_is_over_and_the_others_what_to_do() -> None:
    lasting, _, once = DOC.read_text().partition("These happen once:")
    assert sorted(_kinds(row) for row in _rows(lasting)) == sorted([kind] for kind in LASTING)
    assert sorted(kind for row in _rows(once) for kind in _kinds(row)) == sorted(set(KINDS) - set(LASTING))


def _rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| `")]


def _kinds(row: str) -> list[str]:
    return re.findall(r"`(\w+)`", row.split("|")[1])
