import pytest

from service.domain.rates import Rate, parse_rate


@pytest.mark.parametrize(
    ("text", "rate", "shown"),
    [
        ("1/s", Rate(1, 1.0), "1/s"),
        ("30/min", Rate(30, 60.0), "30/min"),
        ("500/h", Rate(500, 3600.0), "500/h"),
        ("50/d", Rate(50, 86400.0), "50/d"),
        ("1/10s", Rate(1, 10.0), "1/10s"),
        (" 2 / 90 s ", Rate(2, 90.0), "2/90s"),
        ("7/120min", Rate(7, 7200.0), "7/2h"),
    ],
)
def test_rates_as_people_write_them(text, rate, shown):
    assert parse_rate(text) == rate
    assert str(rate) == shown
    assert parse_rate(shown) == rate


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "/s",
        "1/",
        "-1/s",
        "1.5/s",
        "1/week",
        "1 per s",
        "1/s x",
        "0/s",
        "5/0h",
        "٣/s",
        "1" * 9 + "/s",
    ],
)
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ValueError, match=r"such as '1/s'"):
        parse_rate(text)
