"""Routes that ask people: what is refused at start, who is led where without asking, how long questions wait."""

from datetime import timedelta
from pathlib import Path

import pytest
from relayed import START, make_world

from service.configuration import Configuration, ConfigurationError
from service.domain.approvals import ApprovalTimes
from service.domain.routing import destinations_for, led_to, questions_for

PLACES = """
[destinations.team]
connector = "email"
host = "127.0.0.1"
from = "a@example.com"
to = ["b@example.com"]
{more}
[destinations.blog]
connector = "archive"
path = "b"
[destinations.shelf]
connector = "archive"
path = "s"
[[routes]]
name = "asked"
approval = "{asked}"
destinations = {to}
"""


def read(
    tmp_path: Path, url: str, extra: str = "", asked: str = "team", to: str = '["blog"]', more: str = ""
) -> Configuration:
    toml = PLACES.format(asked=asked, to=to, more=more) + extra
    world = make_world(tmp_path, url, toml, {})
    world.relay.ledger.close()
    return world.relay.configuration


def test_who_is_asked_is_led_to_first(tmp_path: Path, sqlite_url: str) -> None:
    routes = read(tmp_path, sqlite_url, to='["blog", "shelf"]').routes
    wanted = destinations_for(routes, {}, None, START)
    assert list(wanted) == ["team", "blog", "shelf"]
    assert questions_for(routes, wanted) == {"asked": "team"}


def test_another_route_that_asks_nobody_leads_there_at_once(tmp_path: Path, sqlite_url: str) -> None:
    free = '[[routes]]\nname = "free"\ndestinations = ["blog"]\n'
    routes = read(tmp_path, sqlite_url, free, to='["blog", "shelf"]').routes
    assert led_to(routes) == {"team": "asked", "blog": "free", "shelf": "asked"}
    routes = read(tmp_path, sqlite_url, free).routes
    assert questions_for(routes, led_to(routes)) == {}, "nothing waits, so nobody is asked"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"asked": "shelf"}, "'shelf' can't ask anybody: its connector is archive"),
        ({"asked": "tean"}, "did you mean 'team'"),
        ({"to": '["team"]'}, "nothing waits for the answer"),
        ({"more": 'after = ["blog"]'}, "'team' waits for blog (after)"),
        ({"extra": '[approval]\nremind_after = "soon"\n'}, "should be a time such as"),
        ({"extra": '[approval]\nremind = "1h"\n'}, "remind_after"),
    ],
)
def test_what_could_never_be_answered_stops_the_start(
    tmp_path: Path, sqlite_url: str, options: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"approval") as wrong:
        read(tmp_path, sqlite_url, **options)
    assert said in str(wrong.value)


def test_times_are_read_and_nought_is_never(tmp_path: Path, sqlite_url: str) -> None:
    assert read(tmp_path, sqlite_url).approval == ApprovalTimes(timedelta(hours=4), timedelta(days=3))
    set_to = '[approval]\nremind_after = "30min"\nexpire_after = "0"\n'
    assert read(tmp_path, sqlite_url, set_to).approval == ApprovalTimes(timedelta(minutes=30), None)
