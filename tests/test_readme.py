import re
from pathlib import Path

from service.cli.catalogue import sections
from service.settings import settings_table

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_readme_has_every_setting_as_it_is() -> None:
    assert settings_table().strip() in README


def test_the_readme_names_every_command() -> None:
    named = set(re.findall(r"`([a-z-]+)", README))
    assert [each.name for _, listed in sections() for each in listed if each.name not in named] == []
