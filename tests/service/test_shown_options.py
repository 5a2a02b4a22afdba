"""What people see of destinations: secrets planted in every connector's options stay where they are."""

import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from service.configuration import DestinationConfig, load_configuration, shown_options
from service.settings import load_settings

TOML = """
[destinations.slack]
connector = "slack"
token = "xoxb-PLANTED-1"
channel = "#videos"
[destinations.hook]
connector = "slack"
webhook_url = "https://hooks.slack.com/services/T0PLANTED/B0PLANTED/PLANTED9"
[destinations.email]
connector = "email"
host = "smtp.example.com"
username = "${MAIL_USER}"
from = "Videos <videos@example.com>"
to = ["desk@example.com"]
[destinations.email.oauth2]
token_url = "https://login.example.com/PLANTED1234/token"
client_id = "relay"
client_secret = "PLANTED"
refresh_token = "PLANTED"
[destinations.webhook]
connector = "webhook"
url = "https://cms.example.com/hooks/PLANTED0123456789/story?key=PLANTED#PLANTED"
secret = "whsec_PLANTEDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
headers = { Authorization = "Bearer PLANTED", X-Harmless = "${HEADER}" }
[destinations.archive]
connector = "archive"
path = "s3://bucket/prefix"
endpoint = "https://s3.example.com"
access_key_id = "PLANTED0123456789AB"
secret_access_key = "PLANTED"
[destinations.apprise]
connector = "apprise"
urls = ["tgram://123456789:PLANTED/-100123", "mailto://user:PLANTED@example.com"]
[destinations.wordpress]
connector = "wordpress"
url = "https://blog.example.com/news"
username = "editor"
application_password = "PLANTED PLAN TEDP LANT"
[destinations.directus]
connector = "directus"
url = "https://directus.example.com"
token = "PLANTED"
collection = "videos"
key_field = "external_id"
fields = { title = "{{ story.title }}", api_token = "PLANTED" }
[destinations.strapi]
connector = "strapi"
url = "https://strapi.example.com/api"
token = "PLANTED"
collection = "videos"
key_field = "external_id"
fields = { title = "{{ story.title }}" }
[destinations.ghost]
connector = "ghost"
url = "https://ghost.example.com"
admin_key = "deadbeefdeadbeefdeadbeef:feedfacefeedfacefeedfacefeedfacefeedfacefeedfacefeedfacefeedface"
"""
ENV = {"MAIL_USER": "PLANTED-user", "HEADER": "PLANTED-header"}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    home: Path = tmp_path_factory.mktemp("home")
    (home / "storyrelay.toml").write_text(TOML)
    configuration = load_configuration(load_settings({"STORYRELAY_HOME": str(home)}), ENV)
    return {name: shown_options(config) for name, config in configuration.destinations.items()}


def test_no_secret_of_any_connector_is_shown(shown: dict[str, dict[str, str]]) -> None:
    text = repr(shown)
    assert re.findall("PLANT|LANTED|dead|feed", text) == []


def test_every_connector_is_asked(shown: dict[str, dict[str, str]]) -> None:
    ours = {point.name for point in entry_points(group="storyrelay.connectors")}
    assert ours - set(shown) == set()


def test_what_is_no_secret_can_be_read(shown: dict[str, dict[str, str]]) -> None:
    assert shown["slack"] == {"token": "***", "channel": "#videos"}
    assert shown["wordpress"]["url"] == "https://blog.example.com/news"
    assert shown["email"]["to"] == "desk@example.com"
    assert shown["email"]["from"] == "Videos <videos@example.com>"
    assert shown["email"]["username"] == "${MAIL_USER}"
    assert shown["webhook"]["url"] == "https://cms.example.com/hooks/***/story?***"
    assert shown["webhook"]["headers"] == "Authorization = ***; X-Harmless = ${HEADER}"
    assert shown["directus"]["fields"] == "title = {{ story.title }}; api_token = ***"
    assert shown["archive"]["path"] == "s3://bucket/prefix"


class _Inner(BaseModel):
    key: SecretStr


class _Options(BaseModel):
    plain: str = ""
    address: str = ""
    many: list[_Inner] = []
    maybe: _Inner | None = None


def show(written: dict[str, object], **options: object) -> dict[str, str]:
    config = DestinationConfig("x", "x", _Options.model_validate(options or written), written=written)
    return shown_options(config)


def test_secrets_within_lists_and_tables_are_hidden() -> None:
    planted = {"many": [{"key": "PLANTED"}], "maybe": {"key": "PLANTED"}}
    assert show(planted) == {"many": "key = ***", "maybe": "key = ***"}


def test_what_the_connector_does_not_know_is_hidden() -> None:
    assert show({"strange": "PLANTED"}) == {"strange": "***"}


@given(st.text("abcXYZ019-_/:?#%@. ", min_size=1, max_size=30))
def test_what_stands_before_the_host_or_after_the_path_is_hidden(text: str) -> None:
    marked = f"https://user:QQ{text}QQ@h.example/a?k=QQ{text}QQ"
    assert "QQ" not in show({"address": marked})["address"]
