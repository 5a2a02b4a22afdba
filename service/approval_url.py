"""The signed links and buttons by which people answer whether a story may go on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from itsdangerous import BadData, URLSafeSerializer

from service.signing import BadToken, check_form, serializer

__all__ = ["ApprovalToken", "ApprovalUrls", "BadToken"]

LONGEST = 256


@dataclass(frozen=True)
class ApprovalToken:
    """Names one asking of one question; `asked_at` is to the second."""

    approval: int
    asked_at: datetime


class ApprovalUrls:
    """Makes and reads `<public_url>/approve/<token>`, and the value of a button that comes back signed by its place.

    The first of `keys` signs, all verify. Until when an answer counts stands in the ledger. A button's value opens
    no link: who reads it out of a place's traffic may not decide by it. Raises ValueError without keys.
    """

    def __init__(self, public_url: str, keys: Sequence[str]) -> None:
        self._base = f"{public_url.rstrip('/')}/approve/"
        self._links = serializer(keys, "storyrelay.approve.link")
        self._buttons = serializer(keys, "storyrelay.approve.button")

    def link(self, approval: int, asked_at: datetime) -> str:
        """The address of the page where the question can be answered."""
        return self._base + _dumped(self._links, approval, asked_at)

    def button(self, approval: int, asked_at: datetime) -> str:
        """What a button of a message carries."""
        return _dumped(self._buttons, approval, asked_at)

    def read_link(self, token: str) -> ApprovalToken:
        """Returns what a link's last part names; raises BadToken and nothing else, whatever the text."""
        return _loaded(self._links, token)

    def read_button(self, value: str) -> ApprovalToken:
        """Returns what a button's value names; raises BadToken and nothing else, whatever the text."""
        return _loaded(self._buttons, value)


def _dumped(signed: URLSafeSerializer, approval: int, asked_at: datetime) -> str:
    return str(signed.dumps([approval, int(asked_at.timestamp())]))


def _loaded(signed: URLSafeSerializer, token: str) -> ApprovalToken:
    check_form(token, LONGEST)
    try:
        approval, asked_at = signed.loads(token)
    except BadData:
        raise BadToken from None
    return ApprovalToken(int(approval), datetime.fromtimestamp(asked_at, UTC))
