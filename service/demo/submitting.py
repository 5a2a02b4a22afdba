"""Submits the demo's stories as any user would."""

from collections.abc import Sequence

import structlog

from service.demo.stories import Wish
from service.story_api import StoryApiError
from service.wiring import Relay, Stop

log = structlog.get_logger()


def submit_all(relay: Relay, wishes: Sequence[Wish], stop: Stop) -> None:
    """Submits one after the other; what the Story API refuses stands in the ledger, with the reason.

    `stop` may end a call that is under way.
    """
    submission = relay.submission(stop)
    for wish in wishes:
        try:
            submission.submit(wish.request())
        except StoryApiError as error:
            log.warning("demo.refused", title=wish.title, error=str(error))
