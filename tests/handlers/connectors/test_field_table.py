from typing import Any

import pytest

from handlers.connectors.field_table import FieldTable, Media
from handlers.message_text import BrokenTemplate

MEDIA = Media(7, None, "https://place.test/v.mp4", None)


def rendered(template: Any, publication: Any) -> Any:
    return FieldTable({"field": template}).render_publication(publication, MEDIA)["field"]


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ media.video }}", 7),
        (" {{- media.video -}} ", 7),
        ("no. {{ media.video }}", "no. 7"),
        ("{{ media.video }}{{ media.video }}", "77"),
        ("{{ media.poster }}", None),
        ("{{ video.seconds }}", 15.0),
        ("{{ story.revision > 1 }}", False),
        ("{{ published_at }}", "2026-03-04T05:06:07+00:00"),
        ("{{ story.title | upper }}", "A LETTER"),
        ("{{ [1, {'deep': true}] }}", [1, {"deep": True}]),
        ("{% if media.poster %}with{% else %}without{% endif %} a poster", "without a poster"),
        ("plain text", "plain text"),
        (True, True),
        (3, 3),
        (None, None),
        ({"connect": ["{{ media.video }}", 4]}, {"connect": [7, 4]}),
    ],
)
def test_one_expression_keeps_its_type_and_all_else_is_text(template: Any, value: Any, shelf: Any) -> None:
    assert rendered(template, shelf.publication(title="A letter")) == value


@pytest.mark.parametrize("title", ["[1, 2]", "7", "{{ 7*7 }}", "true", '{"a": 1}', "{% raw %}"])
@pytest.mark.parametrize("template", ["{{ story.title }}", "{{ story.title }}.", "{{ story }}"])
def test_what_a_story_says_is_never_read(template: str, title: str, shelf: Any) -> None:
    found = rendered(template, shelf.publication(title=title))
    assert isinstance(found, str)
    assert title in found


def test_a_storys_texts_are_cleaned(shelf: Any, hostile: str) -> None:
    for template in ("{{ story.title }}", "T {{ story.title }}", ["{{ story.title }}"]):
        text = str(rendered(template, shelf.publication(title=hostile)))
        assert "<script>alert(1)</script>" in text
        assert not {"\x00", "\ud800", "\u202e"} & set(text)


@pytest.mark.parametrize(
    "template",
    [
        "{{ story.titel }}",
        "{{ nothing }}",
        "a {{ nothing }}",
        "{{ story.title",
        "{{ 1 + }}",
        "{% if %}",
        "{{ 1 / 0 }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ media.video.__class__ }}",
    ],
)
def test_a_broken_template_is_told_at_start_with_its_field(template: str) -> None:
    for table in ({"body": template}, {"body": [{"deep": template}]}):
        with pytest.raises(BrokenTemplate, match="field body") as broken:
            FieldTable(table)
        assert broken.value.refused
