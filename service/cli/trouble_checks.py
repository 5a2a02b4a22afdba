"""What `doctor` tells of troubles that last; lanes it tells of by themselves."""

from collections.abc import Iterator

from service.cli.findings import Finding, warn
from service.domain.notice_words import in_words
from service.domain.notices import LASTING, NoticeKind
from service.domain.spoken_time import lasted
from service.ledger import troubles
from service.wiring import Relay

_LANES = (NoticeKind.LANE_PAUSED, NoticeKind.LANE_OFF)

ADVICE = {
    NoticeKind.WEBHOOKS_MISSED: "see that PUBLIC_URL can be reached from outside",
    NoticeKind.QUEUE_OLD: "see that workers run and the queue answers",
    NoticeKind.DISK_LOW: "make room",
    NoticeKind.KEY_REFUSED: "set STORY_API_KEY to a key that the provider's console shows, start the processes again",
    NoticeKind.CREDITS_REFUSED: "top up the account in the provider's console",
    NoticeKind.CREDITS_LOW: "submit less, or set STORYRELAY_CREDITS_BUDGET",
    NoticeKind.SCHEDULER_SILENT: "start `storyrelay scheduler`, or `storyrelay up`",
}
_OF_NEWER = "the dashboard's page Notices says more"
"""Of a kind that only a newer version knows."""


def check_troubles(relay: Relay) -> Iterator[Finding]:
    """Each trouble that lasts, with its kind, and for how long."""
    now = relay.now()
    with relay.ledger.read() as tx:
        rows = [row for row in troubles.open_ones(tx) if row.kind not in _LANES]
    for row in rows:
        advice = ADVICE[NoticeKind(row.kind)] if row.kind in LASTING else _OF_NEWER
        since = lasted((now - row.opened_at).total_seconds())
        yield warn(in_words(row.kind).lower(), f"{row.title}, for {since}", advice)
