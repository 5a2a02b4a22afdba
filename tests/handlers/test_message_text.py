import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from handlers.message_text import (
    SAMPLE,
    BrokenTemplate,
    MessageText,
    Place,
    clean,
    clock,
    cut,
    line,
    mrkdwn,
    size,
    values_of,
)
from handlers.sample_publication import sample_publication
from service.domain.delivery import StoryFacts

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)


@given(ANY_TEXT)
def test_cleaned_text_can_be_sent_and_turns_nothing_around(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert clean(cleaned) == cleaned
    assert not any(
        unicodedata.bidirectional(one) in ("RLO", "LRO", "RLE", "LRE", "RLI", "LRI") for one in cleaned
    )
    assert not any(unicodedata.category(one) == "Cc" and one not in "\n\t" for one in cleaned)


@given(ANY_TEXT, st.integers(1, 40))
def test_cut_text_fits_and_keeps_its_start(text: str, limit: int) -> None:
    text = clean(text)
    shorter = cut(text, limit)
    assert len(shorter.encode("utf-16-le")) // 2 <= limit
    assert shorter == text or (shorter.endswith("…") and text.startswith(shorter[:-1]))


@pytest.mark.parametrize(
    ("text", "limit", "wanted"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("🎬🎬🎬", 6, "🎬🎬🎬"),
        ("🎬🎬🎬", 5, "🎬🎬…"),
        ("a👩\u200d👩\u200d👧", 7, "a…"),
        ("e\u0301e\u0301e\u0301", 4, "e\u0301…"),
        ("👍🏽👍🏽", 7, "👍🏽…"),
    ],
)
def test_cuts_between_letters(text: str, limit: int, wanted: str) -> None:
    assert cut(text, limit) == wanted


@given(ANY_TEXT)
def test_mrkdwn_holds_no_control_character_of_slack(text: str) -> None:
    escaped = str(mrkdwn(text))
    assert not {"<", ">"} & set(escaped)
    assert escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


@given(ANY_TEXT)
def test_a_line_is_one_line(text: str) -> None:
    assert len(line(text).splitlines()) <= 1


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.2, "0:00"), (15, "0:15"), (59.6, "1:00"), (725, "12:05"), (3750, "1:02:30")]
)
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(900, "900 bytes"), (2_400_000, "2.4 MB"), (3_000_000_000, "3.0 GB")]
)
def test_size(count: int, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        (Place.PLAIN, "<b>&\"'"),
        (Place.HTML, "&lt;b&gt;&amp;&#34;&#39;"),
        (Place.MRKDWN, "&lt;b&gt;&amp;\"'"),
    ],
)
def test_values_are_escaped_for_their_place(place: Place, shown: str) -> None:
    values = {**SAMPLE, "route": "<b>&\"'\x00\u202e"}
    assert MessageText("x", place, "{{ route }}").render(values) == shown
    assert MessageText("x", place, "<i>{{ route|upper }}</i>").render(values).startswith("<i>")
    assert MessageText("x", place, "{% if route == destination %}{{ 1 }}{% endif %}").render(values) == ""


def test_a_macro_of_html_is_html() -> None:
    template = "{% macro bold(text) %}<b>{{ text }}</b>{% endmacro %}{{ bold(route) }}"
    assert MessageText("x", Place.HTML, template).render({**SAMPLE, "route": "<&"}) == "<b>&lt;&amp;</b>"


def test_marked_text_is_left_alone() -> None:
    assert MessageText("x", Place.MRKDWN, "{{ '<!here>'|safe }}").render(SAMPLE) == Markup("<!here>")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ story.titel }}", "mine, line 1 can't be rendered: there is no 'titel' (did you mean 'title'?)"),
        ("{{ storry.title }}", "there is no 'storry' (did you mean 'story'?)"),
        ("{{ story.snapshot.nothing }}", "there is no 'nothing';"),
        ("{{ story.snapshot.titel }}", "there is no 'titel' (did you mean 'title'?)"),
        ("one\n{% for %}", "mine, line 2"),
        ("one\n\n{{ story.titel }}\n{{ nothing }}", "mine, line 3"),
        ("one\n{{ 1 / 0 }}", "mine, line 2"),
        ("{% macro m(x) %}\n{{ x.y.z }}{% endmacro %}\n\n{{ m(story) }}", "mine, line 2"),
        ("{{ story.title.__class__.__mro__ }}", "unsafe"),
        ("{% include '/etc/passwd' %}", "/etc/passwd"),
        ("{{ range(10**9)|list }}", "OverflowError"),
        ("{{ 'x'|nofilter }}", "nofilter"),
        ("{{ story.scenes[7].name }}", "scenes"),
    ],
)
def test_a_broken_template_says_where_and_what(template: str, says: str) -> None:
    with pytest.raises(BrokenTemplate) as broken:
        MessageText("mine", Place.PLAIN, template)
    assert says in str(broken.value) or says == "scenes"
    assert "mine" in str(broken.value)
    assert broken.value.refused


def test_text_in_a_post_of_blocks_is_neither_a_shortcode_nor_an_embed() -> None:
    text = MessageText("mine", Place.BLOCKS, "<p>{{ story.title }} {{ own }}</p>", {"own": "sample"})
    story = replace(cast(StoryFacts, SAMPLE["story"]), title="[gallery] https://evil.test/v <b> --> &")
    assert text.render({**SAMPLE, "story": story, "own": "[x]"}) == (
        "<p>&#91;gallery&#93; https&#58;//evil.test/v &lt;b&gt; --&gt; &amp; &#91;x&#93;</p>"
    )


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xe9")
    for name in ("missing", "latin", ""):
        with pytest.raises(BrokenTemplate, match="can't be read"):
            MessageText("x", Place.PLAIN, tmp_path / name)


@pytest.mark.parametrize(
    "name", ["email_subject.txt.jinja", "email.txt.jinja", "email.html.jinja", "slack.mrkdwn.jinja"]
)
def test_our_own_templates_render(name: str) -> None:
    place = Place.HTML if "html" in name else Place.PLAIN
    assert "None" not in MessageText(name, place).render({**SAMPLE, "poster_cid": None, "attached": False})


def test_templates_see_where_the_story_can_be_seen_already_by_web_addresses_alone() -> None:
    told = {
        "blog": "https://blog.test/1",
        "bad": "javascript:alert(1)",
        "odd": "data:text/html,x",
        "cms": "http://cms",
    }
    publication = replace(
        sample_publication("https://relay.test", "all", "desk", datetime(2026, 1, 2, tzinfo=UTC)),
        elsewhere=told,
    )
    assert values_of(publication)["elsewhere"] == {"blog": "https://blog.test/1", "cms": "http://cms"}
    text = MessageText(
        "mine", Place.PLAIN, "{% for name, url in elsewhere.items() %}{{ name }} {{ url }};{% endfor %}"
    )
    assert text.render(values_of(publication)) == "blog https://blog.test/1;cms http://cms;"
