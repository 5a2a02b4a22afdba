"""What the Story API says of our key and our credits: troubles that last until a call says otherwise."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from service.configuration import Configuration
from service.domain.notices import NoticeKind, Trouble
from service.ledger import lanes, troubles
from service.story_api import InsufficientCredit, StoryApiError, Unauthorized

log = structlog.get_logger()

_KINDS = {lanes.REFUSED: NoticeKind.KEY_REFUSED, lanes.NO_CREDIT: NoticeKind.CREDITS_REFUSED}

_TITLES = {
    NoticeKind.KEY_REFUSED: "The Story API refuses our key",
    NoticeKind.CREDITS_REFUSED: "The Story API says that the credits are used up",
}

_DO = {
    NoticeKind.KEY_REFUSED: (
        "Set STORY_API_KEY to a key that the provider's console shows, and start the processes again. Until then no "
        "story is asked for and none is seen finished; nothing is lost."
    ),
    NoticeKind.CREDITS_REFUSED: (
        "Top up the account in the provider's console. Until then new stories are refused; those that are being made "
        "go on, and nothing is lost."
    ),
}


def reason_of(error: StoryApiError) -> str | None:
    """The reason for which a lane is paused after this refusal; None: it says nothing of the account."""
    if isinstance(error, InsufficientCredit):
        return lanes.NO_CREDIT
    return lanes.REFUSED if isinstance(error, Unauthorized) else None


@dataclass(frozen=True)
class StoryAccount:
    """Writes within the transaction of whoever called the Story API (a ledger connection, the time)."""

    configuration: Configuration

    def refused(self, tx: Any, reason: str | None, said: str, now: datetime) -> bool:
        """Opens the trouble of the key or of the credits; False where it lasts already, or is none of these."""
        kind = _KINDS.get(reason or "")
        if kind is None:
            return False
        trouble = Trouble(key="", kind=kind, title=_TITLES[kind], text=f"{said}\n{_DO[kind]}")
        began = troubles.begin(tx, trouble, self.configuration.notices, now)
        if began:
            log.warning("trouble.began", kind=kind)  # the lane that it pauses is the error
        return began

    def answered(self, tx: Any, now: datetime) -> None:
        """A call was answered as it should: the key is good."""
        _over(tx, NoticeKind.KEY_REFUSED, now)

    def paid(self, tx: Any, now: datetime) -> None:
        """A story was accepted, so that there are credits as well."""
        self.answered(tx, now)
        _over(tx, NoticeKind.CREDITS_REFUSED, now)


def _over(tx: Any, kind: NoticeKind, now: datetime) -> None:
    if troubles.end(tx, kind, now):
        log.info("trouble.over", kind=kind)
