import ipaddress
import os
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from service.configuration import (
    Configuration,
    ConfigurationError,
    load_configuration,
    trial,
    try_connectors,
)
from service.connectors import UnknownConnector
from service.domain.delivery import DeliveryFailed
from service.domain.notices import Audience
from service.domain.opening_hours import ALL_DAY, Hours, OpeningHours
from service.domain.rates import Rate
from service.domain.routing import Condition, Route
from service.domain.spans import Span
from service.settings import load_settings

SECRET = "hunter2-that-nobody-may-see"
KEYS = "k" * 32


def _refuse_secret(value: str) -> str:
    if value.startswith("bad"):
        raise ValueError(f"should not be {value}")
    return value


class ChatOptions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    token: SecretStr
    channel: str = "#videos"
    upload: Literal["video", "poster"] = "video"
    sender: str | None = Field(None, alias="from")
    limit: int = 5
    picky: Annotated[str, AfterValidator(_refuse_secret)] = ""
    extras: dict[str, int] = {}


class ChatConnector:
    Options = ChatOptions


def connectors(name):
    if name == "chat":
        return ChatConnector
    if name == "broken":
        raise ImportError("no module named nothing")
    raise UnknownConnector(f"no connector {name!r}: there are broken, chat")


class Folder:
    """Writes storyrelay.toml and loads it."""

    def __init__(self, path):
        self.path = path

    def load(self, text, env=None, **settings):
        data = text if isinstance(text, bytes) else text.encode()
        (self.path / "storyrelay.toml").write_bytes(data)
        return self.load_as_is(env, **settings)

    def load_as_is(self, env=None, **settings):
        made = load_settings({"STORYRELAY_HOME": str(self.path), "SECRET_KEYS": KEYS, **settings})
        return load_configuration(made, env or {}, connectors)

    def problems(self, text, env=None):
        with pytest.raises(ConfigurationError) as caught:
            self.load(text, env)
        assert SECRET not in str(caught.value)
        assert str(self.path / "storyrelay.toml") in str(caught.value)
        return str(caught.value)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


EXAMPLE = """
[outbound]
allow = ["127.0.0.0/8", "fd00::/8"]

[destinations.team]
connector = "chat"
token = "${CHAT_TOKEN}"
channel = "#films"
from = "relay"
max_in_flight = 2

[destinations.desk]
connector = "chat"
token = "plain"

[[routes]]
name = "promo"
when = { title = "Promo *", labels = { team = ["brand", "pr"] }, used_credits = 450 }
destinations = ["team", "desk", "team"]
token_version = 3

[[routes]]
name = "all"
destinations = ["desk"]

[notices]
destinations = ["team"]
"""


CONDITION = """
[destinations.desk]
connector = "chat"
token = "plain"
[[routes]]
name = "all"
destinations = ["desk"]
when = {{ {condition} }}
"""


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        (
            'aspect_ratio = "9x16"',
            "aspect_ratio: no finished story has '9x16' (did you mean '9:16'?); there are 16:9, 4:3, 1:1,",
        ),
        (
            'aspect_ratio = ["9:16", "vertical"]',
            "aspect_ratio: no finished story has 'vertical'; there are 16:9",
        ),
        ("aspect_ratio = 1.78", "aspect_ratio: no finished story has '1.78'"),
        ('language = "Deutsch"', "language: no finished story has 'Deutsch'; there are Arabic, Chinese"),
        (
            'kind = "image"',
            "kind: no finished story has 'image' (did you mean 'images'?); there are idea, url, images",
        ),
        ('status = "fail"', "status: no finished story has 'fail'; there are success"),
        ('is_transition = "maybe"', "is_transition: no finished story has 'maybe'; there are true, false"),
        ('labels = "brand"', 'labels: should be a table of labels, such as { team = "brand" }'),
        ("title = { a = 1 }", "title: has no parts"),
        ("credits = 5", "credits: there is no such field of a story (did you mean 'used_credits'?)"),
        (
            'used_credits = "cheap"',
            "used_credits: should be a number, a comparison such as '<= 300', or a span",
        ),
        ("used_credits = true", "used_credits: should be a number"),
        ("used_credits = inf", "used_credits: should be a number"),
        ('used_credits = "< 0"', "used_credits: no finished story has '< 0': it is never less than 0"),
        ("used_credits = -1", "used_credits: no finished story has '-1'"),
        ('used_credits = "300..100"', "used_credits: ends before it begins: did you mean '100..300'?"),
        ('labels.size = ["1", "5..2"]', "labels.size: ends before it begins"),
        ("duration = 7.5", "duration: no finished story has '7.5': it is counted in whole seconds"),
        ('duration = ["5", "10 s"]', "duration: should be a number, a comparison such as"),
        ('hour = "08:00-18:00"', "hour: there is no such field of a story (did you mean 'hours'?)"),
        ('hours = "8-18", timezone = "UTC"', "hours: should be hours of a day, such as '08:00-18:00'"),
        ('hours = "08:00-25:00", timezone = "UTC"', "hours: should be hours of a day"),
        ('hours = ["09:00-10:00", "24:00-01:00"], timezone = "UTC"', "hours: should be hours of a day"),
        ('hours = "08:00-08:00", timezone = "UTC"', "hours: '08:00-08:00' ends where it begins"),
        (
            "hours = [], timezone = 'UTC'",
            "hours: should be a text, such as '08:00-18:00', or a list of these",
        ),
        ("hours = 08:00:00, timezone = 'UTC'", "hours: should be a text"),
        (
            'days = "tuesday", timezone = "UTC"',
            "days: there is no day 'tuesday' (did you mean 'tue'?); there are mon, tue",
        ),
        ('days = ["mon", "fri-"], timezone = "UTC"', "days: there is no day ''; there are mon"),
        ('days = 1, timezone = "UTC"', "days: should be a text"),
        ('hours = "08:00-18:00"', "timezone: is missing: whose clocks? Such as 'Europe/Berlin' or 'UTC'"),
        (
            'days = "mon", timezone = "Europe/Berln"',
            "timezone: there is no timezone 'Europe/Berln' (did you mean 'Europe/Berlin'?)",
        ),
        ('days = "mon", timezone = "europe/berlin"', "timezone: there is no timezone 'europe/berlin'"),
        ('days = "mon", timezone = "../../etc/passwd"', "timezone: there is no timezone"),
        ('days = "mon", timezone = 2', "timezone: should be a text"),
        ('timezone = "UTC"', "timezone: says nothing without hours or days"),
    ],
)
def test_a_condition_that_no_story_can_fulfil_is_refused(folder, condition, told):
    with pytest.raises(ConfigurationError) as caught:
        folder.load(CONDITION.format(condition=condition))
    assert f"routes.all.when.{told}" in str(caught.value)


@pytest.mark.parametrize(
    "condition",
    [
        'aspect_ratio = "*:16"',
        'status = "Success"',
        'language = ["german", "E*"]',
        'kind = "IDEA"',
        'title = "9x16"',
        'labels.language = "x"',
        'labels = { size = "<= 5" }',
        "is_transition = 'True'",
        'title = "<= 300"',
        'used_credits = ["<= 300", 450, "600"]',
        'duration = ["5", "10", "20..30"]',
    ],
)
def test_a_condition_that_some_story_can_fulfil_is_taken(folder, condition):
    assert len(folder.load(CONDITION.format(condition=condition)).routes[0].when) == 1


def conditions(folder, text):
    (route,) = folder.load(CONDITION.format(condition=text)).routes
    return {".".join(each.path): each.any_of for each in route.when}, route.open


def test_comparisons_are_read_where_numbers_may_stand(folder):
    found, hours = conditions(
        folder,
        'used_credits = "<= 300", duration = ["5", "10..30"], title = "<= 300", labels = { size = ">5", cut = "a" }',
    )
    assert found == {
        "used_credits": (Span(most=300),),
        "duration": ("5", Span(10, 30)),
        "title": ("<= 300",),
        "labels.size": (Span(least=5, is_open=True),),
        "labels.cut": ("a",),
    }
    assert hours is None


@pytest.mark.parametrize(
    ("text", "days", "hours"),
    [
        ('hours = "08:00-18:00"', range(7), [Hours(480, 1080)]),
        ('hours = ["8:30 - 12:00", "22:00-06:00"]', range(7), [Hours(510, 720), Hours(1320, 360)]),
        ('hours = "20:00-24:00", days = "Fri"', [4], [Hours(1200, 1440)]),
        ('days = ["mon", "wed-fri"]', [0, 2, 3, 4], [ALL_DAY]),
        ('days = "sat - mon"', [0, 5, 6], [ALL_DAY]),
    ],
)
def test_hours_as_people_write_them(folder, text, days, hours):
    found, opening = conditions(folder, f'{text}, timezone = "Europe/Berlin", title = "x"')
    assert opening == OpeningHours(ZoneInfo("Europe/Berlin"), frozenset(days), tuple(hours))
    assert found == {"title": ("x",)}


def test_the_whole_file(folder):
    configuration = folder.load(EXAMPLE, {"CHAT_TOKEN": SECRET})
    team = configuration.destinations["team"]
    assert configuration.outbound_allow == (
        ipaddress.ip_network("127.0.0.0/8"),
        ipaddress.ip_network("fd00::/8"),
    )
    assert (team.name, team.connector, team.max_in_flight) == ("team", "chat", 2)
    assert isinstance(team.options, ChatOptions)
    assert (team.options.token.get_secret_value(), team.options.sender) == (SECRET, "relay")
    assert configuration.destinations["desk"].max_in_flight is None
    assert configuration.routes == (
        Route(
            "promo",
            ("team", "desk"),
            (
                Condition(("title",), ("Promo *",)),
                Condition(("labels", "team"), ("brand", "pr")),
                Condition(("used_credits",), (450,)),
            ),
            token_version=3,
        ),
        Route("all", ("desk",)),
    )
    assert configuration.notices == Audience(("team",))
    assert SECRET not in repr(configuration)


def linked(*tables):
    """Destinations a, b, c …, with a line for each."""
    return "\n".join(
        f'[destinations.{name}]\nconnector = "chat"\ntoken = "t"\n{line}'
        for name, line in zip("abcdef", tables, strict=False)
    )


def test_what_a_destination_waits_for_and_what_stands_in_for_it(folder):
    text = linked(
        'after = ["b", "c", "b"]\nfallback = "b"\nrate = "30/min"', 'fallback = "c"', 'after = ["b"]'
    )
    found = folder.load(text).destinations
    assert [(each.after, each.fallback, each.rate) for each in found.values()] == [
        (("b", "c"), "b", Rate(30, 60.0)),
        ((), "c", None),
        (("b",), None, None),
    ]


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        (('after = ["a"]',), ["destinations.a.after: 'a' can't be its own"]),
        (('fallback = "a"',), ["destinations.a.fallback: 'a' can't be its own"]),
        (("", 'after = ["c"]', 'after = ["b"]'), ["destinations.b.after: goes round in a circle: b → c → b"]),
        (
            ('fallback = "c"', 'fallback = "a"', 'fallback = "b"'),
            ["destinations.a.fallback: goes round in a circle: a → c → b → a"],
        ),
        (
            ('after = ["b"]', 'after = ["c", "a"]', "", 'after = ["e"]', 'after = ["d", "a"]'),
            ["in a circle: a → b → a", "in a circle: d → e → d"],
        ),
        (
            ("", 'after = ["aa", "zebra"]', 'fallback = "A"'),
            [
                "destinations.b.after: there is no destination 'aa' (did you mean 'a'?)",
                "destinations.b.after: there is no destination 'zebra'",
                "destinations.c.fallback: there is no destination 'A'",
            ],
        ),
        (('fallback = ""',), ["destinations.a.fallback: there is no destination ''"]),
        (("fallback = 5",), ["destinations.a.fallback: should be a text, not '5'"]),
        (('after = "b"',), ["destinations.a.after: should be a list, not 'b'"]),
        (('rate = "fast"',), ["destinations.a.rate: should be a number and a time, such as '1/s', '30/min'"]),
        (("rate = 5",), ["destinations.a.rate: should be a number and a time"]),
        (('rate = "0/s"',), ["destinations.a.rate: should be more than nothing"]),
        (('afer = ["b"]',), ["destinations.a.afer: there is no such name (did you mean 'after'?)"]),
    ],
)
def test_wrong_links_between_destinations_are_told(folder, tables, told):
    problems = folder.problems(linked(*tables))
    assert [line for line in told if line not in problems] == []
    assert problems.count("\n") == len(told)


def test_no_file_is_an_empty_configuration(folder):
    assert folder.load_as_is() == Configuration()


def test_an_empty_file_is_an_empty_configuration(folder):
    assert folder.load("") == Configuration()


def test_a_file_that_was_named_must_be_there(folder):
    with pytest.raises(ConfigurationError, match=r"other\.toml can't be read: No such file"):
        folder.load_as_is(STORYRELAY_CONFIG="other.toml")


def test_a_file_elsewhere(folder, tmp_path):
    (tmp_path / "other.toml").write_text("[outbound]\nallow = ['10.0.0.0/8']")
    assert folder.load_as_is(STORYRELAY_CONFIG="other.toml").outbound_allow


def test_without_an_environment_the_process_own_fills(folder, monkeypatch):
    (folder.path / "storyrelay.toml").write_text(
        "[destinations.d]\nconnector = 'chat'\ntoken = '${STORY_TEST_T}'"
    )
    monkeypatch.setenv("STORY_TEST_T", "abc")
    made = load_settings({"STORYRELAY_HOME": str(folder.path)})
    options = load_configuration(made, connectors=connectors).destinations["d"].options
    assert options.token.get_secret_value() == "abc"


def test_installed_connectors_are_found_by_name(folder):
    (folder.path / "storyrelay.toml").write_text("[destinations.d]\nconnector = 'slak'")
    with pytest.raises(ConfigurationError, match="did you mean 'slack'"):
        load_configuration(load_settings({"STORYRELAY_HOME": str(folder.path)}), {})


def test_every_problem_is_told_at_once(folder):
    told = folder.problems(
        f"""
        routs = 1
        [outbound]
        allow = ["127.0.0.1/8", "everything", 5]
        alow = []
        [destinations.team]
        connector = "chat"
        tokn = "{SECRET}"
        upload = "postr"
        channel = "${{NOT_SET}}"
        max_in_flght = 2
        limit = "x"
        extras = {{ a = "b" }}
        [destinations.desk]
        connector = "caht"
        [destinations.shelf]
        connector = "broken"
        [destinations.none]
        [destinations.Big]
        connector = "chat"
        token = 5
        max_in_flight = 0
        [[routes]]
        name = "all"
        destinations = ["taem", "desk"]
        when = {{ titel = "x", labels = {{ team = [] }}, custom_thing = 5, language = 2020-01-01 }}
        [[routes]]
        name = "all"
        destinations = ["desk"]
        [[routes]]
        name = "a/b"
        destinations = []
        token_version = "x"
        [[routes]]
        destination = "desk"
        [notices]
        destinations = ["nobody"]
        """
    )
    for line in (
        "routs: there is no such name (did you mean 'routes'?)",
        "outbound.allow (item 1): should be a network, such as '10.0.0.0/8' (did you mean '127.0.0.0/8'?)",
        "outbound.allow (item 2): should be a network",
        "outbound.allow (item 3): should be a network",
        "outbound.alow: there is no such name (did you mean 'allow'?)",
        "destinations.team.token: is missing",
        "destinations.team.tokn: there is no such name (did you mean 'token'?)",
        "destinations.team.upload: should be 'video' or 'poster', not 'postr' (did you mean 'poster'?)",
        "destinations.team.channel: the environment variable NOT_SET is not set",
        "destinations.team.max_in_flght: there is no such name (did you mean 'max_in_flight'?)",
        "destinations.team.limit: should be a whole number, not 'x'",
        "destinations.team.extras.a: should be a whole number",
        "destinations.desk.connector: no connector 'caht'",
        "destinations.shelf.connector: 'broken' is installed but can't be loaded: no module named nothing",
        "destinations.none.connector: is missing",
        "destinations.Big: should be a name of a-z",
        "destinations.Big.max_in_flight: should be greater than or equal to 1, not '0'",
        "routes.all.destinations: there is no destination 'taem' (did you mean 'team'?)",
        "routes.all.when.titel: there is no such field of a story (did you mean 'title'?)",
        "routes.all.when.labels.team: should be a text, a number, true or false",
        "routes.all.when.language: should be a text, a number, true or false",
        "routes.all: there are two routes of this name; the second is number 2",
        "routes.a/b.name: should be a name of a-z",
        "routes.a/b.destinations: ",
        "routes.a/b.token_version: should be a whole number",
        "routes (number 4).name: is missing",
        "routes (number 4).destination: there is no such name (did you mean 'destinations'?)",
        "notices.destinations: there is no destination 'nobody'",
    ):
        assert line in told
    assert "custom_thing" not in told  # a field that the Story API may have one day


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = [1,\nb = ]", "(at line 2, column 1)"),
        ("[outbound]\nallow = [", "(at line 2, the last)"),
        ("[destinations.a]\nx = 1\nx = 2", "Cannot overwrite a value (at line 3, column 6)"),
        (b"\xff\xfe", "is not UTF-8 text: look at byte 0"),
        ("x = " + "[" * 5000, "nested too deeply"),
        ("destinations = 1", "destinations: should be a table: [destinations]"),
        ("[destinations]\na = 1", "destinations.a: should be a table"),
        ("[routes]\na = 1", "routes: should be tables: [[routes]]"),
        ("routes = [1]", "routes (number 1): should be a table"),
        ("outbound = []", "outbound: should be a table: [outbound]"),
        ("[outbound]\nallow = '10.0.0.0/8'", "outbound.allow: should be a list, not '10.0.0.0/8'"),
        ('[destinations."a\\u001b[31m\\nb"]\n', "destinations.a?[31m?b"),
    ],
)
def test_files_of_another_shape(folder, text, told):
    assert told in folder.problems(text)


def test_a_folder_is_no_file(folder):
    os.mkdir(folder.path / "storyrelay.toml")
    with pytest.raises(ConfigurationError, match="can't be read"):
        folder.load_as_is()


def test_a_byte_order_mark_is_no_error(folder):
    assert folder.load(b"\xef\xbb\xbf[outbound]\r\nallow = []\r\n") == Configuration()


def options(folder, line, env=None):
    text = f"[destinations.d]\nconnector = 'chat'\ntoken = 't'\n{line}"
    return folder.load(text, env).destinations["d"].options


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("${A}", "one"),
        ("x${A}-${B}y", "xone-${A}y"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A $ {A}", "$A $ {A}"),
    ],
)
def test_variables_are_filled_in_once(folder, written, read):
    assert options(folder, f"channel = '{written}'", {"A": "one", "B": "${A}"}).channel == read


@pytest.mark.parametrize("written", ["${}", "${A", "${A B}", "${1A}", "${ä}"])
def test_what_is_no_variable_is_told(folder, written):
    told = folder.problems(f"[destinations.d]\nconnector = 'chat'\ntoken = '{written}'", {"A": "x"})
    assert "destinations.d.token: should have a variable's name in ${NAME}" in told


def test_an_empty_variable_is_a_missing_one(folder):
    told = folder.problems("[destinations.d]\nconnector = 'chat'\ntoken = '${T}'", {"T": ""})
    assert told.count("\n") == 1
    assert "destinations.d.token: the environment variable T is not set" in told


def test_variables_may_stand_in_routes_and_lists(folder):
    text = (
        "[destinations.d]\nconnector = '${C}'\ntoken = 't'\n[[routes]]\nname = 'r'\ndestinations = ['${D}']"
    )
    assert folder.load(text, {"C": "chat", "D": "d"}).routes == (Route("r", ("d",)),)
    told = folder.problems(text, {"C": "chat"})
    assert "routes.r.destinations (item 1): the environment variable D is not set" in told


@pytest.mark.parametrize(
    "line",
    [
        "upload = '${S}'",
        "limit = '${S}'",
        "picky = 'bad ${S}'",
        "connector2 = '${S}'",
        "extras = { a = '${S}' }",
        "upload = ['${S}']",
    ],
)
def test_what_came_from_the_environment_is_never_quoted(folder, line):
    long_secret = SECRET + "x" * 200
    text = f"[destinations.d]\nconnector = 'chat'\ntoken = 't'\n{line}"
    told = folder.problems(text, {"S": long_secret})
    assert "xxx" not in told


def test_a_secret_of_the_wrong_type_is_never_quoted(folder):
    assert "1234567" not in folder.problems("[destinations.d]\nconnector = 'chat'\ntoken = 1234567")


def fingerprint(folder, line="", key="abc", **settings):
    text = f"[destinations.d]\nconnector = 'chat'\ntoken = '${{T}}'\n{line}"
    return folder.load(text, {"T": key}, **settings).destinations["d"].fingerprint


def test_the_fingerprint_changes_with_every_option(folder):
    first = fingerprint(folder)
    assert first == fingerprint(folder)
    others = [
        fingerprint(folder, key="abd"),
        fingerprint(folder, "channel = '#x'"),
        fingerprint(folder, SECRET_KEYS="l" * 32),
    ]
    assert len({first, *others}) == 4
    assert first == fingerprint(
        folder, "max_in_flight = 3"
    )  # how many at once is nothing that a place refuses


def test_there_is_no_fingerprint_without_a_key(folder):
    assert fingerprint(folder, SECRET_KEYS="") == ""


@given(st.binary(max_size=200))
def test_no_file_does_more_than_being_refused(tmp_path_factory, data):
    folder = Folder(tmp_path_factory.mktemp("any"))
    try:
        folder.load(data)
    except ConfigurationError as error:
        assert str(folder.path) in str(error)  # noqa: PT017 - either is right


VALUES = st.recursive(
    st.booleans()
    | st.integers(-5, 5)
    | st.text("a${}A'", max_size=5).map(lambda text: text.replace("'", "")),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=4,
)


def toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return f"'{value}'" if isinstance(value, str) else str(value)


@given(
    st.dictionaries(
        st.sampled_from(["outbound", "destinations", "routes", "notices", "other"])
        | st.sampled_from(["outbound.allow", "destinations.d", "notices.destinations"]),
        VALUES,
        max_size=3,
    )
)
def test_no_shape_does_more_than_being_refused(tmp_path_factory, sections):
    folder = Folder(tmp_path_factory.mktemp("shape"))
    text = "\n".join(f"{key} = {toml(value)}" for key, value in sections.items())
    try:
        folder.load(text, {"A": "d"})
    except ConfigurationError as error:
        assert str(folder.path) in str(error)  # noqa: PT017 - either is right


class FragileConnector(ChatConnector):
    """Finds out what is wrong only when it is made."""

    def __init__(self, options, tools):
        raise_by_channel = {
            "template": DeliveryFailed(
                f"the template {tools.base / 'x.jinja'}, line 3, can't be rendered", refused=True
            ),
            "path": ValueError("is no folder\x1b"),
            "file": FileNotFoundError(2, "no such file", "ca.pem"),
            "secret": DeliveryFailed(f"https://host/?token={SECRET} is wrong"),
        }
        if options.channel in raise_by_channel:
            raise raise_by_channel[options.channel]


def test_what_only_a_made_connector_finds_out_is_told_with_its_destination(folder, monkeypatch):
    monkeypatch.setattr(trial, "connector_class", lambda _name: FragileConnector)
    text = linked(*(f'channel = "{channel}"' for channel in ("fine", "template", "path", "file", "secret")))
    path = folder.path / "storyrelay.toml"
    with pytest.raises(ConfigurationError) as caught:
        try_connectors(folder.load(text), path)
    assert str(caught.value).splitlines()[:4] == [
        f"{path} is wrong:",
        f"  destinations.b: the template {folder.path / 'x.jinja'}, line 3, can't be rendered",
        "  destinations.c: is no folder?",
        "  destinations.d: [Errno 2] no such file: 'ca.pem'",
    ]
    assert str(caught.value).count("\n") == 4
    assert SECRET not in str(caught.value)
    try_connectors(folder.load(linked("")), path)


@pytest.mark.parametrize(
    ("second", "clash"),
    [
        ('path = "./shelf/"', True),
        ('path = "shelf"\nkey = "{{ story.id }}/desk"', False),
        ('path = "shelf/below"', False),
    ],
)
def test_two_archives_do_not_share_a_place(folder, second, clash):
    text = f"""
    [destinations.first]
    connector = "archive"
    path = "shelf"
    [destinations.second]
    connector = "archive"
    {second}
    """
    path = folder.path / "storyrelay.toml"
    path.write_text(text)
    configuration = load_configuration(load_settings({"STORYRELAY_HOME": str(folder.path)}), {})
    if clash:
        with pytest.raises(
            ConfigurationError, match=r"destinations\.second: writes to the same place as first"
        ):
            try_connectors(configuration, path)
    else:
        try_connectors(configuration, path)
