"""Every secret of the settings and of the destinations' options is found, and concealed when a relay is opened."""

from pathlib import Path

from service.configured_secrets import configured_secrets
from service.redaction import redact
from service.settings import load_settings
from service.wiring import open_relay

TOML = """
[destinations.cms]
connector = "webhook"
url = "https://cms.example/hook"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
headers = { X-Gate = "planted-gate-key" }
[destinations.many]
connector = "apprise"
urls = ["json://planted-host.example/planted-path"]
"""
PLANTED = (
    "planted-api-key",
    "planted-signing-key",
    "planted-gate-key",
    "json://planted-host.example/planted-path",
)


def test_a_place_that_quotes_our_key_gives_it_to_nobody(tmp_path: Path) -> None:
    (tmp_path / "storyrelay.toml").write_text(TOML)
    env = {
        "STORYRELAY_HOME": str(tmp_path),
        "STORY_API_KEY": "planted-api-key",
        "SECRET_KEYS": "planted-signing-key",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    relay = open_relay(env)
    assert set(PLANTED) <= configured_secrets(load_settings(env), relay.configuration)
    for secret in PLANTED:
        assert redact(f"no: {secret}!") == "no: ***!"
    relay.ledger.close()
