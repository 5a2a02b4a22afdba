import pytest

from service.configuration import ConfigurationError
from service.domain.states import StepKind
from service.job_queue import NoQueue, QueueDown
from service.settings import SettingsError
from service.wiring import open_relay

KEYS = "the-secret-key-of-the-tests"


@pytest.fixture
def env(tmp_path) -> dict[str, str]:
    (tmp_path / "var").mkdir()
    return {"STORYRELAY_HOME": str(tmp_path), "SECRET_KEYS": KEYS}


def test_a_process_that_serves_insists_on_a_queue(env):
    with pytest.raises(SettingsError, match="REDIS_URL"):
        open_relay(env)


def test_a_process_that_serves_insists_on_keys(env):
    with pytest.raises(SettingsError, match="SECRET_KEYS"):
        open_relay({**env, "SECRET_KEYS": "", "REDIS_URL": "redis://127.0.0.1:1"})


def test_the_queue_of_up_is_found_by_its_file(env, tmp_path):
    (tmp_path / "var" / "redis_url").write_text("unix:///somewhere/valkey.sock\n")
    assert open_relay(env).settings.redis_url == "unix:///somewhere/valkey.sock"


def test_the_environment_wins_over_the_file(env, tmp_path):
    (tmp_path / "var" / "redis_url").write_text("unix:///somewhere/valkey.sock\n")
    assert open_relay({**env, "REDIS_URL": "redis://there"}).settings.redis_url == "redis://there"


@pytest.mark.parametrize("content", [b"http://x", b"junk", b"\xff\xfe", b"redis://a b"])
def test_a_file_that_holds_no_address_is_told(env, tmp_path, content):
    (tmp_path / "var" / "redis_url").write_bytes(content)
    with pytest.raises(SettingsError, match="REDIS_URL"):
        open_relay(env, serves=False)


def test_an_empty_file_is_no_queue(env, tmp_path):
    (tmp_path / "var" / "redis_url").touch()
    assert isinstance(open_relay(env, serves=False).queue, NoQueue)


def test_a_command_works_without_a_queue(env):
    queue = open_relay(env, serves=False).queue
    for use in (lambda: queue.enqueue([(1, StepKind.FETCH)]), lambda: queue.depth(StepKind.NOTIFY)):
        with pytest.raises(QueueDown, match="storyrelay up"):
            use()


def test_a_command_without_keys_fails_only_where_it_signs(env):
    relay = open_relay({**env, "SECRET_KEYS": ""}, serves=False)
    for use in (lambda: relay.webhook_urls.for_route("all"), lambda: relay.media_urls.url("a", "b", 1)):
        with pytest.raises(SettingsError, match="SECRET_KEYS"):
            use()


BROKEN = """
[destinations.desk]
connector = "email"
host = "smtp.example.com"
from = "a@example.com"
to = ["b@example.com"]
template = "texts/desk.jinja"
"""


def test_a_process_that_serves_refuses_a_broken_template_and_a_command_does_not(env, tmp_path):
    (tmp_path / "storyrelay.toml").write_text(BROKEN)
    (tmp_path / "texts").mkdir()
    template = tmp_path / "texts" / "desk.jinja"
    template.write_text("<p>\n{{ story.titel }}</p>")
    served = {**env, "REDIS_URL": "redis://127.0.0.1:1"}
    with pytest.raises(ConfigurationError) as caught:
        open_relay(served)
    (line,) = str(caught.value).splitlines()[1:]
    assert line.startswith(f"  destinations.desk: the template {template}, line 2 can't be rendered: ")
    assert "'titel'" in line
    assert open_relay(served, serves=False).configuration.destinations.keys() == {"desk"}
    template.write_text("<p>{{ story.title }}</p>")
    assert open_relay(served).configuration.destinations.keys() == {"desk"}
