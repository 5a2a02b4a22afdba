import os
import stat
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.settings import (
    Settings,
    SettingsError,
    load_settings,
    make_secret_keys,
    settings_table,
    variable,
)

SECRET = "hunter2-that-nobody-may-see"


@pytest.fixture
def home(tmp_path):
    return tmp_path


def load(home, **env):
    return load_settings({"STORYRELAY_HOME": str(home), **env})


def problems(home, **env):
    with pytest.raises(SettingsError) as caught:
        load(home, **env)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_a_digest_is_remembered_for_two_days_at_least(home):
    assert "STORYRELAY_KEEP_NOTICES_DAYS" in problems(home, STORYRELAY_KEEP_NOTICES_DAYS="1.9")
    assert load(home, STORYRELAY_KEEP_NOTICES_DAYS="off").keep_notices_days is None


def test_an_empty_environment_gives_the_defaults(home):
    settings = load(home)
    assert settings.database_url == f"sqlite:///{home}/var/ledger.sqlite3"
    assert settings.config_path == home / "storyrelay.toml"
    assert not settings.config_path_is_set
    assert settings.video_store == f"file://{home}/var/videos"
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.redis_url is None
    assert settings.secret_keys == ()
    assert settings.retry_schedule == (5, 300, 1800, 7200, 18000, 36000, 36000)
    assert settings.max_video_bytes == 2 * 2**30
    assert settings.poll_first_seconds is None


def test_the_home_is_the_current_folder(home, monkeypatch):
    monkeypatch.chdir(home)
    assert load_settings({}).home == home


def test_without_an_environment_the_process_own_is_read(home, monkeypatch):
    monkeypatch.setenv("STORYRELAY_HOME", str(home))
    monkeypatch.setenv("PORT", "8123")
    assert load_settings().port == 8123


def test_only_the_given_environment_counts(home, monkeypatch):
    monkeypatch.setenv("PORT", "8123")
    monkeypatch.setenv("STORYRELAY_QUEUE_LIMIT", "7")
    assert load(home).port == 8000
    assert Settings(home=home).queue_limit == 200


def test_values_are_read_as_written(home):
    settings = load(
        home,
        STORYRELAY_RETRY_SCHEDULE="0.5, 1,2",
        STORYRELAY_MAX_VIDEO_BYTES="5MiB",
        STORYRELAY_LOG_LEVEL="WARNING",
        STORYRELAY_POLL_FIRST_SECONDS="7",
        STORYRELAY_CONFIG="conf/relay.toml",
        PORT="8080",
    )
    assert settings.retry_schedule == (0.5, 1.0, 2.0)
    assert settings.max_video_bytes == 5 * 2**20
    assert settings.log_level == "warning"
    assert settings.poll_first_seconds == 7
    assert settings.config_path == home / "conf/relay.toml"
    assert settings.config_path_is_set
    assert settings.public_url == "http://127.0.0.1:8080"


def test_an_empty_variable_is_an_unset_one(home):
    settings = load(home, REDIS_URL="", PORT=" ", STORYRELAY_CONFIG="")
    assert (settings.redis_url, settings.port, settings.config_path_is_set) == (None, 8000, False)


@pytest.mark.parametrize(
    ("given_url", "used"),
    [
        ("postgres://u:p@h:5432/d", "postgresql+psycopg://u:p@h:5432/d"),
        ("postgresql://u@h/d?sslmode=require", "postgresql+psycopg://u@h/d?sslmode=require"),
        ("postgresql+psycopg:///d?host=/run/pg", "postgresql+psycopg:///d?host=/run/pg"),
        ("sqlite:////data/l.sqlite3", "sqlite:////data/l.sqlite3"),
        ("sqlite+pysqlite:////data/a b.db", "sqlite:////data/a%20b.db"),
    ],
)
def test_databases(home, given_url, used):
    assert load(home, DATABASE_URL=given_url).database_url == used


def test_a_relative_ledger_is_meant_from_home(home):
    assert load(home, DATABASE_URL="sqlite:///data/l.db").database_url == f"sqlite:///{home}/data/l.db"


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://u:{SECRET}@h/d",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///x.db?mode=memory",
        "sqlite://x.db",
        f"{SECRET}",
        "postgres://",
        f"postgres://u:{SECRET}@h:port/d",
        f"postgres://u:{SECRET}@h/d\nx",
    ],
)
def test_databases_that_cannot_be(home, url):
    assert "DATABASE_URL: should" in problems(home, DATABASE_URL=url)


@pytest.mark.parametrize(
    ("store", "used"),
    [
        ("videos", "file://{home}/videos"),
        ("file:///srv/v", "file:///srv/v"),
        ("s3://b/p?region=x", "s3://b/p?region=x"),
    ],
)
def test_video_stores(home, store, used):
    assert load(home, VIDEO_STORE=store).video_store == used.format(home=home)


@pytest.mark.parametrize("store", ["file://relative", "ftp://x/y", "s3://", "s3:/x", "gs:x", "file:/x"])
def test_video_stores_that_cannot_be(home, store):
    assert "VIDEO_STORE: should" in problems(home, VIDEO_STORE=store)


def test_addresses_lose_their_last_slash(home):
    settings = load(home, PUBLIC_URL="https://a.example.com/relay/", STORY_API_URL="http://127.0.0.1:9/")
    assert (settings.public_url, settings.story_api_url) == (
        "https://a.example.com/relay",
        "http://127.0.0.1:9",
    )


@pytest.mark.parametrize(
    "url", ["a.example.com", "ftp://a", "https://", f"https://u:{SECRET}@a", "https://a/?x", "https://a:b"]
)
def test_addresses_that_cannot_be(home, url):
    assert "PUBLIC_URL: should be a URL" in problems(home, PUBLIC_URL=url)


def test_every_problem_is_told_at_once_with_what_would_be_right(home):
    told = problems(
        home,
        PORT="80x",
        SECRET_KEYS=f"{SECRET},short",
        STORY_API_KEY=f"{SECRET} {SECRET}",
        SENTRY_DSN=f"https://{SECRET}",
        REDIS_URL=f"http://:{SECRET}@x",
        STORYRELAY_RETRY_SHEDULE="1",
        STORYRELAY_RETRY_SCHEDULE="1,-2,x",
        STORYRELAY_LOG_FORMAT="jsn",
        STORYRELAY_MAX_VIDEO_BYTES="huge",
        STORYRELAY_POLL_RATE="nan",
        STORYRELAY_LEASE_SECONDS="1e300",
        STORYRELAY_CIRCUIT_SHARE="0",
    )
    for line in (
        "PORT: should be a whole number, not '80x'",
        "SECRET_KEYS: should be keys of 16 characters or more; too short: 2",
        "STORY_API_KEY: should be one word",
        "SENTRY_DSN: should be a DSN",
        "REDIS_URL: should be a URL that starts with redis://",
        "STORYRELAY_RETRY_SHEDULE: there is no such setting (did you mean 'STORYRELAY_RETRY_SCHEDULE'?)",
        "STORYRELAY_RETRY_SCHEDULE (item 2): should be greater than 0, not '-2'",
        "STORYRELAY_RETRY_SCHEDULE (item 3): should be a number, not 'x'",
        "STORYRELAY_LOG_FORMAT: should be 'text' or 'json', not 'jsn' (did you mean 'json'?)",
        "STORYRELAY_MAX_VIDEO_BYTES: should be a number of bytes, such as 65536 or 2GiB, not 'huge'",
        "STORYRELAY_POLL_RATE: should be a finite number",
        "STORYRELAY_LEASE_SECONDS: should be less than",
        "STORYRELAY_CIRCUIT_SHARE: should be greater than 0",
    ):
        assert line in told


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("STORYRELAY_DATABASE_URL", "(did you mean 'DATABASE_URL'?)"),
        ("storyrelay_log_level", "(did you mean 'STORYRELAY_LOG_LEVEL'?)"),
        ("STORYRELAY_QUEUELIMIT", "(did you mean 'STORYRELAY_QUEUE_LIMIT'?)"),
        ("STORYRELAY_XYZ", "variables of your own must not start with STORYRELAY_"),
    ],
)
def test_an_unknown_name_stops_the_start(home, name, right):
    told = problems(home, **{name: SECRET})
    assert f"{name}: there is no such setting" in told
    assert right in told


def test_a_home_that_is_not_there(home):
    assert "STORYRELAY_HOME: should be a folder that exists" in problems(home / "nowhere")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (
            "STORYRELAY_LEASE_SECONDS",
            "15",
            "STORYRELAY_LEASE_RENEWAL_SECONDS must be below STORYRELAY_LEASE_SECONDS",
        ),
        ("STORYRELAY_WEB_THREADS", "2", "STORYRELAY_MEDIA_THREADS must be below STORYRELAY_WEB_THREADS"),
        (
            "STORYRELAY_POLL_MAX_SECONDS",
            "5",
            "STORYRELAY_POLL_MIN_SECONDS must be at most STORYRELAY_POLL_MAX_SECONDS",
        ),
    ],
)
def test_settings_that_contradict_each_other(home, name, value, told):
    assert told in problems(home, **{name: value})


def test_no_secret_shows(home):
    settings = load(
        home,
        DATABASE_URL=f"postgres://u:{SECRET}@h/d",
        REDIS_URL=f"redis://:{SECRET}@h",
        STORY_API_KEY=SECRET,
        SECRET_KEYS=f"{SECRET},{SECRET}2",
        SENTRY_DSN=f"https://{SECRET}@h/1",
        VIDEO_STORE=f"s3://b/p?secret_access_key={SECRET}",
    )
    assert settings.story_api_key.get_secret_value() == SECRET
    assert [key.get_secret_value() for key in settings.secret_keys] == [SECRET, f"{SECRET}2"]
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert SECRET not in shown


def test_settings_are_frozen(home):
    with pytest.raises(ValidationError):
        load(home).port = 1


@given(
    st.dictionaries(
        st.sampled_from([variable(field) for field in Settings.model_fields]), st.text(max_size=30)
    )
)
def test_whatever_is_set_gives_settings_or_says_what_is_wrong(env):
    try:
        assert isinstance(load_settings(env), Settings)
    except SettingsError as error:
        assert all(line.isprintable() for line in str(error).splitlines())  # noqa: PT017 - either is right


def test_the_api_fingerprint_changes_with_key_and_address_and_shows_neither(home):
    keys = {"SECRET_KEYS": "k" * 32}
    first = load(home, STORY_API_KEY=SECRET, **keys).api_fingerprint
    assert first == load(home, STORY_API_KEY=SECRET, **keys).api_fingerprint
    assert first != load(home, STORY_API_KEY="other", **keys).api_fingerprint
    assert first != load(home, STORY_API_KEY=SECRET, STORY_API_URL="https://x", **keys).api_fingerprint
    assert first != load(home, STORY_API_KEY=SECRET, SECRET_KEYS="l" * 32).api_fingerprint
    assert load(home, STORY_API_KEY=SECRET).api_fingerprint == ""


def test_kept_keys_are_used_while_none_are_set(home):
    path = make_secret_keys(home)
    kept = path.read_text().strip()
    assert [key.get_secret_value() for key in load(home).secret_keys] == [kept]
    assert load(home, SECRET_KEYS="k" * 16).secret_keys[0].get_secret_value() == "k" * 16
    assert len(kept) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_kept_keys_may_be_several_a_line_each(home):
    path = make_secret_keys(home)
    path.write_text("a" * 16 + "\n" + "b" * 16 + "\n")
    assert len(load(home).secret_keys) == 2


def test_keys_are_made_once_however_many_try(home):
    made = []
    threads = [
        threading.Thread(target=lambda: made.append(make_secret_keys(home).read_text())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1
    assert os.listdir(home / "var") == ["secret_keys"]


def test_kept_keys_that_are_no_text_are_told(home):
    make_secret_keys(home).write_bytes(b"\xff\xfe\x00")
    assert "SECRET_KEYS: the keys' file can't be read" in problems(home)


def test_the_table_names_every_setting_and_its_default():
    table = settings_table()
    assert all(f"| `{variable(field)}` |" in table for field in Settings.model_fields)
    assert "| `STORYRELAY_RETRY_SCHEDULE` | `5,300,1800,7200,18000,36000,36000` | Seconds" in table
    assert all(row.count("|") == 4 for row in table.splitlines())
    assert "None" not in table


def test_the_table_is_the_same_anywhere(home):
    code = "from service.settings import settings_table; print(settings_table(), end='')"
    env = {**os.environ, "PORT": "9", "PYTHONPATH": os.getcwd()}
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=env, capture_output=True, text=True, check=True
    )
    assert shown.stdout == settings_table()
