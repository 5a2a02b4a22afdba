import re
from pathlib import Path

from service.cli.catalogue import sections
from service.configuration import load_configuration
from service.settings import load_settings, settings_table

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_readme_has_every_setting_as_it_is() -> None:
    assert settings_table().strip() in README


def test_the_readme_names_every_command() -> None:
    named = set(re.findall(r"`([a-z-]+)", README))
    assert [each.name for _, listed in sections() for each in listed if each.name not in named] == []


def test_the_readme_has_a_configuration_that_loads(tmp_path: Path) -> None:
    examples = re.findall(r"```toml\n(.*?)```", README[: README.index("\n## Destinations")], re.DOTALL)
    (tmp_path / "storyrelay.toml").write_text("\n".join(examples))
    env = {"SLACK_BOT_TOKEN": "xoxb-1", "SMTP_PASSWORD": "x", "CMS_WEBHOOK_SECRET": f"whsec_{'A' * 32}"}
    configuration = load_configuration(load_settings({"STORYRELAY_HOME": str(tmp_path)}), env)
    assert [route.name for route in configuration.routes] == ["all", "upright", "shorts", "desk-hours"]
    assert str(configuration.destinations["blog"].rate) == "30/min"
