"""What the Story API, or the way to it, says instead of a story."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class FieldDetail:
    """What the Story API says of one field of a request (422); both are cleaned and cut."""

    field: str
    message: str


@dataclass(frozen=True)
class Said:
    """The body of an error answer, cleaned: `code` and `message` as the V2 reference has them, or V1."""

    code: str | None = None
    message: str = ""
    detail: tuple[FieldDetail, ...] = ()


class StoryApiError(Exception):
    """A call of the Story API that brought no story; its text is for people and holds no secret.

    `status`: HTTP status, None where there was no answer. `code`: the API's machine-readable code, upper case.
    `message`: the API's own words, one line, cut. `retry_after`: seconds that it asked us to wait.
    `detail`: field by field, where it says so. `sent`: the request may have had its effect, and nothing tells.
    """

    ADVICE: ClassVar[str] = ""

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        sent: bool = False,
        said: Said | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{text}. {self.ADVICE}".rstrip())
        self.status = status
        self.sent = sent
        self.code = said.code if said else None
        self.message = said.message if said else ""
        self.detail = said.detail if said else ()
        self.retry_after = retry_after


class InsufficientCredit(StoryApiError):
    """402, or the code INSUFFICIENT_CREDIT."""

    ADVICE = "Top up the account's credits, then try again."


class LimitReached(StoryApiError):
    """429, or the code REACHED_LIMIT: the plan's rate, or its stories at a time."""

    ADVICE = "Wait, then try again."


class NotFound(StoryApiError):
    """404: the Story API knows no such story (under this key)."""

    ADVICE = "Check the story's id, and that the key is of the account that made it."


class Invalid(StoryApiError):
    """400, 422 and other refusals of the request itself; `detail` names the fields."""

    ADVICE = "Correct the request; the same again will be refused again."


class Unauthorized(StoryApiError):
    """401 or 403, or there is no key at all."""

    ADVICE = "Check STORY_API_KEY."


class Unavailable(StoryApiError):
    """5xx, no connection, or no answer in time. It passes; `sent` says whether to look before repeating."""


PASSING = (LimitReached, Unavailable)
"""What has nothing to do with the request itself: the same may well be taken a little later."""


class BadAnswer(StoryApiError):
    """An answer that isn't the Story API's: not JSON, or no story. After a submit, `sent` is true."""

    ADVICE = "Check STORY_API_URL."
