import math

import pytest

from service.domain.spans import Span, parse_span


@pytest.mark.parametrize(
    ("text", "span", "shown"),
    [
        ("<= 300", Span(most=300), "<= 300"),
        ("<300", Span(most=300, is_open=True), "< 300"),
        (" >=  5.5 ", Span(least=5.5), ">= 5.5"),
        ("> -5", Span(least=-5, is_open=True), "> -5"),
        ("10..30", Span(10, 30), "10..30"),
        ("1.5 .. 2.5", Span(1.5, 2.5), "1.5..2.5"),
        ("10..", Span(10), ">= 10"),
        ("..30", Span(most=30), "<= 30"),
        ("7..7", Span(7, 7), "7..7"),
    ],
)
def test_spans_as_people_write_them(text, span, shown):
    assert parse_span(text) == span
    assert str(span) == shown
    assert parse_span(shown) == span


@pytest.mark.parametrize(
    "text",
    ["", "5", "..", "...", "1...2", "<", "<= x", "=5", "<=5 s", "5-10", "1..2..3", "<= ٣", "1" * 30 + ".."],
)
def test_other_texts_are_no_spans(text):
    assert parse_span(text) is None


def test_a_span_that_holds_nothing_is_refused_with_what_was_meant():
    with pytest.raises(ValueError, match=r"did you mean '10\.\.30'"):
        parse_span("30..10")


def test_ends_belong_to_a_span_unless_it_is_open():
    assert [number for number in (9, 10, 20, 30, 31) if Span(10, 30).holds(number)] == [10, 20, 30]
    assert [number for number in (9, 10, 20, 30, 31) if Span(10, 30, is_open=True).holds(number)] == [20]
    assert not Span().holds(math.nan)
