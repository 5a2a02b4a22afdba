"""Keyset pages: a page goes on where the one before ended, whatever came in between."""

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from flask import Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field

from service.web.api.problems import FieldError, Problem, Refused
from service.web.ledger_keys import ledger_key

Row = TypeVar("Row")


class PageQuery(BaseModel):
    """Which page."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=200, description="At most so many.")
    after: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        pattern=r"^[A-Za-z0-9:.+_-]+$",
        description="Go on after this: `next` of the page before.",
    )

    def key(self) -> int | None:
        """`after` where it is a ledger's key. Raises Refused."""
        if self.after is None:
            return None
        try:
            return ledger_key(self.after)
        except ValueError as error:
            raise bad_cursor() from error


def bad_cursor() -> Refused:
    """The refusal of an `after` that no page gave."""
    text = "this is no `next` of a page of this list"
    return Refused(Problem(422, text, "invalid-request", [FieldError("after", text)]))


def page(
    rows: Sequence[Row], limit: int, key: Callable[[Row], object], shape: Callable[[Row], object]
) -> Response:
    """The page as `{items, next}`, and `next` as a Link header as well. `rows` has one more where more follow."""
    shown = rows[:limit]
    return page_up_to([shape(row) for row in shown], key(shown[-1]) if len(rows) > limit else None)


def page_up_to(items: Sequence[object], last: object | None) -> Response:
    """The same of shapes, where the next page begins after `last`, None where there is no other."""
    following = None if last is None else str(last)
    answer = jsonify(items=list(items), next=following)
    if following is not None:
        asked = [(name, value) for name, value in request.args.items(multi=True) if name != "after"]
        answer.headers["Link"] = f'<{request.path}?{urlencode([*asked, ("after", following)])}>; rel="next"'
    return answer
