from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import routing
from service.domain.opening_hours import Hours, OpeningHours
from service.domain.routing import Condition, Route, UnknownRoute, unmet
from service.domain.spans import Span

NOON = datetime(2026, 6, 3, 12, tzinfo=UTC)  # a Wednesday


def matches(one, facts, now=NOON):
    return routing.matches(one, facts, now)


def routes_for(routes, facts, pinned):
    return routing.routes_for(routes, facts, pinned, NOON)


def destinations_for(routes, facts, pinned):
    return routing.destinations_for(routes, facts, pinned, NOON)


def route(name="r", destinations=("d",), **when):
    return Route(name, destinations, tuple(Condition((key,), _listed(value)) for key, value in when.items()))


def _listed(value):
    return tuple(value) if isinstance(value, list) else (value,)


def test_a_route_without_conditions_takes_every_story():
    assert matches(route(), {})


@pytest.mark.parametrize(
    ("wanted", "fact"),
    [
        ("Promo *", "promo SPRING"),
        ("*", ""),
        ("a?c", "ABC"),
        ("*sale*", "The big Sale\nis on"),
        ("[draft]*", "[DRAFT] one"),
        ("100% (really)", "100% (REALLY)"),
        ("straße", "STRASSE"),
        ("caf\u00e9", "cafe\u0301"),
        ("9:16", "9:16"),
        ("a*b*b", "abb"),
        ("*a*b*", "xxaxxbxx"),
        (["nothing", "pro*"], "promo"),
        (450, 450.0),
        (450, "450"),
        (4.5, "4.5"),
        ("450", 450.0),
        (["5", "10"], 5),
        ("5*", 5.5),
        (True, True),
        (True, "Yes"),
        (False, "No"),
        ("true", True),
        ("brand", ["other", "Brand"]),
    ],
)
def test_values_that_are_alike(wanted, fact):
    assert matches(route(field=wanted), {"field": fact})


@pytest.mark.parametrize(
    ("wanted", "fact"),
    [
        ("promo", "promo spring"),
        ("a?c", "ac"),
        ("[abc]", "a"),
        ("a*b*b", "ab"),
        (".*", "anything"),
        (5, "5x"),
        (5, True),
        (1, True),
        (True, 1),
        (True, "on"),
        (1.0, "nan"),
        ("*", None),
        ("*", {"nested": "x"}),
        (["x", "y"], "z"),
        ("x", []),
    ],
)
def test_values_that_differ(wanted, fact):
    assert not matches(route(field=wanted), {"field": fact})


@pytest.mark.parametrize(
    ("wanted", "fits", "does_not"),
    [
        (Span(most=300), [300, 300.0, "300", 0, -5], [300.5, "301", True, None, "", "cheap", [], {}]),
        (Span(most=300, is_open=True), [299.9], [300]),
        (Span(10, 30), [10, 30, "20"], [9, 31, "nan", "inf"]),
        (Span(10), [10, 1e300], [9.9, float("nan")]),
        ([Span(10, 30), 5, "x*"], [5, 12, "xy", [1, 12]], [6, [1, 2]]),
    ],
)
def test_spans_of_numbers(wanted, fits, does_not):
    one = route(field=wanted)
    assert [fact for fact in fits if not matches(one, {"field": fact})] == []
    assert [fact for fact in does_not if matches(one, {"field": fact})] == []


BERLIN = ZoneInfo("Europe/Berlin")


def test_a_route_is_taken_while_it_is_open():
    office = Route("r", ("d",), open=OpeningHours(BERLIN, frozenset({2}), (Hours(14 * 60, 15 * 60),)))
    assert matches(office, {})  # 12:00 UTC is 14:00 in Berlin's summer
    assert not matches(office, {}, NOON - timedelta(minutes=1))
    assert not matches(office, {}, NOON + timedelta(days=1))
    assert [found.name for found in routes_for((office,), {}, "r")] == ["r"]


def test_each_reason_against_a_route_is_told():
    one = Route(
        "r",
        ("d",),
        (
            Condition(("aspect_ratio",), ("9:16",)),
            Condition(("labels", "team"), ("brand", "pr")),
            Condition(("used_credits",), (Span(most=300), 450)),
            Condition(("title",), ("*",)),
            Condition(("is_transition",), (True,)),
        ),
        open=OpeningHours(BERLIN, frozenset({0, 4}), (Hours(480, 1080), Hours(1320, 360))),
    )
    facts = {
        "aspect_ratio": "16:9",
        "used_credits": 420,
        "title": "x",
        "is_transition": "",
        "labels": {"team": "a\nb" * 99},
    }
    told = list(unmet(one, facts, NOON))
    assert told[0] == "wants aspect_ratio = '9:16'; it is '16:9'"
    assert told[1].startswith("wants labels.team = 'brand' or 'pr'; it is 'a\\nba")
    assert len(told[1]) < 140
    assert told[2:] == [
        "wants used_credits = <= 300 or 450; it is 420",
        "wants is_transition = true; it is not known",
        "is open mon, fri 08:00-18:00, 22:00-06:00 in Europe/Berlin; it is wed 14:00 in Europe/Berlin",
    ]
    assert list(unmet(route(), facts, NOON)) == []


def test_a_missing_field_fulfils_nothing():
    assert not matches(route(title="*"), {})


def test_all_conditions_must_hold():
    both = route(title="promo*", aspect_ratio="9:16")
    assert matches(both, {"title": "Promo", "aspect_ratio": "9:16"})
    assert not matches(both, {"title": "Promo", "aspect_ratio": "16:9"})


def test_nested_fields_are_found_by_path():
    branded = Route("r", ("d",), (Condition(("labels", "team"), ("brand",)),))
    assert matches(branded, {"labels": {"team": "Brand"}})
    assert not matches(branded, {"labels": {"team": "sales"}})
    assert not matches(branded, {"labels": "brand"})


def test_a_story_takes_every_route_that_matches_in_order():
    routes = (route("a", title="x"), route("b"), route("c", title="y"), route("d"))
    assert [found.name for found in routes_for(routes, {"title": "y"}, None)] == ["b", "c", "d"]


def test_a_pinned_route_is_taken_alone_and_unasked():
    routes = (route("a"), route("b", title="never"))
    assert [found.name for found in routes_for(routes, {"title": "x"}, "b")] == ["b"]


def test_a_pinned_route_that_is_gone_is_told_apart_from_no_match():
    with pytest.raises(UnknownRoute) as caught:
        routes_for((route("a"),), {}, "b")
    assert caught.value.name == "b"
    assert routes_for((route("a", title="x"),), {}, None) == ()


def test_each_destination_comes_once_under_its_first_route():
    routes = (route("a", ("team", "shelf")), route("b", ("shelf", "sink")))
    assert destinations_for(routes, {}, None) == {"team": "a", "shelf": "a", "sink": "b"}


def test_a_hostile_title_against_many_stars_ends():
    assert not matches(route(title="a*a*a*a*a*a*a*a*b"), {"title": "a" * 50_000})


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


PLAIN = st.text(st.characters(codec="ascii"))  # elsewhere a letter may merge with a combining mark beside it


@given(PLAIN, PLAIN)
def test_a_wildcard_finds_what_stands_between_stars(wanted, around):
    assert matches(route(field=f"*{wanted}*"), {"field": f"{around}{wanted}{around}"})


@given(ANY_JSON, st.text() | st.floats() | st.integers() | st.booleans())
def test_no_fact_breaks_the_matching(fact, wanted):
    assert matches(route(field=wanted), {"field": fact}) in (True, False)
