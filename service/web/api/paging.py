"""Keyset pages: a page goes on where the one before ended, whatever came in between."""

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from flask import Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field

Row = TypeVar("Row")

HIGHEST_KEY = 2**63 - 1


class PageQuery(BaseModel):
    """Which page."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=200, description="At most so many.")
    after: int | None = Field(
        None, ge=1, le=HIGHEST_KEY, description="Go on after this: `next` of the page before."
    )


def page(
    rows: Sequence[Row], limit: int, key: Callable[[Row], int], shape: Callable[[Row], object]
) -> Response:
    """The page as `{items, next}`, and `next` as a Link header as well. `rows` has one more where more follow."""
    shown = rows[:limit]
    following = str(key(shown[-1])) if len(rows) > limit else None
    answer = jsonify(items=[shape(row) for row in shown], next=following)
    if following is not None:
        asked = [(name, value) for name, value in request.args.items(multi=True) if name != "after"]
        answer.headers["Link"] = f'<{request.path}?{urlencode([*asked, ("after", following)])}>; rel="next"'
    return answer
