import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.routing import Condition, Route, UnknownRoute, destinations_for, matches, routes_for


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
