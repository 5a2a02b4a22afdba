import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.hints import Hint, Malformed, read_hint


@pytest.mark.parametrize("name", ["batch_id", "story_id", "id"])
@pytest.mark.parametrize("wrap", [lambda story: story, lambda story: {"data": story}])
def test_the_id_is_found_under_every_name_and_place(name: str, wrap: Callable[[object], object]) -> None:
    body = json.dumps(wrap({name: "story-1", "status": "success", "customer_id": "c"})).encode()
    assert read_hint(body) == Hint("story-1", "success")


@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_no_obstacle(prefix: bytes) -> None:
    assert read_hint(prefix + '{"batch_id": "ü"}'.encode()).story_id == "ü"


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[1]", b'"text"', b"null", b"\xff\xfe{}", b'{"id": 1', b"[" * 100_000]
)
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_hint(body)


def test_an_id_that_is_absurd_counts_as_none() -> None:
    assert read_hint(json.dumps({"id": "x" * 201}).encode()).story_id is None
    assert read_hint(json.dumps({"id": {"a": 1}, "batch_id": ["b"]}).encode()).story_id is None
    assert read_hint(json.dumps({"id": True}).encode()).story_id is None


@given(
    st.binary(max_size=300)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_any_body_is_a_hint_or_malformed(body: bytes) -> None:
    try:
        hint = read_hint(body)
    except Malformed:
        return
    assert hint.story_id is None or 0 < len(hint.story_id) <= 200
