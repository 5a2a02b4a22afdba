"""`[notices]` in storyrelay.toml: what it means, and what a slip in it is answered with."""

from datetime import time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from service.configuration import ConfigurationError, load_configuration
from service.domain.notices import Audience, Digest, Quiet
from service.domain.opening_hours import Hours, OpeningHours
from service.settings import load_settings

PLACES = "".join(
    f'[destinations.{name}]\nconnector = "archive"\npath = "{name}"\n' for name in ("team", "desk", "boss")
)
NIGHT = '[notices.quiet]\nfrom = "22:00"\nto = "7:00"\ntimezone = "Europe/Berlin"\n'
DIGEST = '[notices.digest]\nat = "08:30"\ntimezone = "Europe/Berlin"\ndestinations = ["boss"]\n'


def load(home: Path, text: str) -> Audience:
    (home / "storyrelay.toml").write_text(PLACES + text)
    settings = load_settings({"STORYRELAY_HOME": str(home)})
    return load_configuration(settings, {}).notices


def test_without_it_nobody_is_told(tmp_path: Path) -> None:
    audience = load(tmp_path, "")
    assert audience == Audience()
    assert not audience


def test_all_of_it(tmp_path: Path) -> None:
    audience = load(
        tmp_path,
        '[notices]\ndestinations = ["team", "desk", "team"]\nfallback = "boss"\nevery = "30min"\n'
        '[notices.only]\ndesk = ["disk_low", "key_refused"]\n'
        f'{NIGHT}except = ["key_refused"]\n{DIGEST}when_empty = "skip"\n',
    )
    berlin = ZoneInfo("Europe/Berlin")
    assert audience == Audience(
        ("team", "desk"),
        "boss",
        timedelta(minutes=30),
        {"desk": frozenset({"disk_low", "key_refused"})},
        Quiet(OpeningHours(berlin, hours=(Hours(22 * 60, 7 * 60),)), frozenset({"key_refused"})),
        Digest(time(8, 30), berlin, ("boss",), says_nothing_happened=False),
    )
    assert audience.named == {"team", "desk", "boss"}


def test_every_0_tells_each_by_itself(tmp_path: Path) -> None:
    assert load(tmp_path, '[notices]\ndestinations = ["team"]\nevery = "0"\n').every is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[notices]\ndestinations = ["tema"]\n',
            "notices.destinations: there is no destination 'tema' (did you",
        ),
        (
            '[notices]\nfallback = "tema"\n',
            "notices.fallback: there is no destination 'tema' (did you mean 'team'?)",
        ),
        ('[notices]\nevery = "often"\n', "notices.every: should be a time such as '30min'"),
        (
            '[notices]\ndestinations = ["team"]\n[notices.only]\nteam = ["disk_lo"]\n',
            "there is no kind of notice 'disk_lo' (did you mean 'disk_low'?)",
        ),
        (
            '[notices]\ndestinations = ["team"]\n[notices.only]\ndesk = ["disk_low"]\n',
            "notices.only.desk: hears nothing: notices.destinations does not name 'desk'",
        ),
        (NIGHT.replace('"22:00"', '"25:00"'), "notices.quiet.from: should be a time of day, such as '08:00'"),
        (NIGHT.replace('"22:00"', '"07:00"'), "notices.quiet: ends where it begins"),
        (
            NIGHT.replace("Berlin", "Berlim"),
            "there is no timezone 'Europe/Berlim' (did you mean 'Europe/Berlin'?)",
        ),
        (NIGHT + 'except = ["key"]\n', "notices.quiet.except: there is no kind of notice 'key'"),
        (
            DIGEST.replace('"boss"', '"bos"'),
            "notices.digest.destinations: there is no destination 'bos' (did you",
        ),
        (DIGEST + 'when_empty = "never"\n', "notices.digest.when_empty"),
        (DIGEST.replace('"boss"', ""), "notices.digest.destinations"),
    ],
)
def test_a_slip_is_named_with_its_mend(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        load(tmp_path, text)
    assert said in str(told.value)
