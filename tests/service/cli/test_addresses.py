import pytest

from service.cli.addresses import is_loopback
from service.webhook_url import RouteToken, WebhookUrls

PUBLIC = "https://relay.example"


def test_the_address_stands_alone_on_its_line(home, keys):
    result = home.done("webhook-url", "--route", "all", PUBLIC_URL=PUBLIC)
    assert result.stderr == ""
    [line] = result.stdout.splitlines()
    assert line.startswith(f"{PUBLIC}/webhooks/story/")
    urls = WebhookUrls(PUBLIC, (keys,), 30, {"all": 1})
    assert urls.read(line.rpartition("/")[2]) == RouteToken("all")


def test_programs_get_an_object_with_the_same_address(home):
    plain = home.done("webhook-url", "--route", "all").stdout.strip()
    assert home.json("webhook-url", "--route", "all") == {"url": plain}


def test_an_address_of_this_machine_alone_is_remarked_beside_it(home):
    result = home.done("webhook-url", "--route", "all")
    assert len(result.stdout.splitlines()) == 1
    assert "PUBLIC_URL" in result.stderr


def test_it_needs_no_ledger(bare, keys):
    (bare.path / "storyrelay.toml").write_text(
        '[destinations.shelf]\nconnector = "archive"\npath = "p"\n[[routes]]\nname = "all"\ndestinations = ["shelf"]\n'
    )
    assert bare.done("webhook-url", "--route", "all", SECRET_KEYS=keys).exit_code == 0
    assert not (bare.path / "var" / "ledger.sqlite3").exists()


@pytest.mark.parametrize(
    ("words", "env", "said"),
    [
        ((), {}, "--route"),
        (("--route", "al"), {}, "did you mean 'all'"),
        (("--route", "\x1b[2J"), {}, "no route"),
        (("--route", "all"), {"SECRET_KEYS": ""}, "SECRET_KEYS"),
        (("--route", "all"), {"PUBLIC_URL": "relay.example"}, "PUBLIC_URL"),
    ],
)
def test_wrong_use_prints_no_address(home, words, env, said):
    result = home.run("webhook-url", *words, **env)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:80/x", True),
        ("http://localhost:1", True),
        ("http://a.localhost", True),
        ("https://relay.example", False),
        ("https://localhost.example", False),
        ("http://10.0.0.1", False),
    ],
)
def test_loopback(url, expected):
    assert is_loopback(url) is expected
