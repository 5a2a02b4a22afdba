from pathlib import Path

from flask_openapi.openapi import OpenAPI

from service.domain.api_tokens import Scope
from service.web.api.document import document, written

COMMITTED = Path(__file__).parents[4] / "docs" / "openapi.json"


def test_the_committed_document_is_current(app: OpenAPI) -> None:
    assert COMMITTED.read_text() == written(app), "write it anew: make openapi"


def test_each_call_is_documented_with_its_problems(app: OpenAPI) -> None:
    made = document(app)
    calls = [(path, call) for path, item in made["paths"].items() for call in item.values()]
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("api.")]
    assert len(calls) == len(rules)
    for path, call in calls:
        assert call["summary"], path
        assert call["security"] == [{"token": []}], path
        assert {"401", "403", "404", "422", "429", "500", "503"} <= set(call["responses"]), path
        assert any(status.startswith("2") for status in call["responses"]), path
    assert all(f"`{scope}`" in made["info"]["description"] for scope in Scope)


def test_every_reference_leads_somewhere(app: OpenAPI) -> None:
    made = document(app)
    left, found = [made["paths"], made["components"]], set()
    while left:
        value = left.pop()
        if isinstance(value, dict):
            found |= {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            left += value.values()
        elif isinstance(value, list):
            left += value
    assert len(found) > 20
    assert {name.removeprefix("#/components/schemas/") for name in found} <= set(
        made["components"]["schemas"]
    )
