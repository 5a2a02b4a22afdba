"""The kinds of notice in words, as people read them."""

from service.domain.notices import NoticeKind

WORDS = {
    NoticeKind.STORY_FAILED: "Story failed",
    NoticeKind.STORY_UNKNOWN: "Story unknown to the Story API",
    NoticeKind.STORY_GIVEN_UP: "Story given up",
    NoticeKind.STORY_UNCONFIRMED: "Submission without an answer",
    NoticeKind.DELIVERY_DEAD: "Delivery given up",
    NoticeKind.LANE_PAUSED: "Work paused",
    NoticeKind.LANE_OFF: "Destination switched off",
    NoticeKind.LANE_RECOVERED: "Works again",
    NoticeKind.WEBHOOKS_MISSED: "Webhooks missed",
    NoticeKind.QUEUE_OLD: "Work waits",
    NoticeKind.DISK_LOW: "Disk nearly full",
    NoticeKind.KEY_REFUSED: "Key refused",
    NoticeKind.CREDITS_REFUSED: "Credits used up",
    NoticeKind.CREDITS_LOW: "Budget of credits",
    NoticeKind.SCHEDULER_SILENT: "Scheduler silent",
    NoticeKind.RESOLVED: "Over",
    NoticeKind.APPROVAL_UNASKED: "Question not asked",
    NoticeKind.APPROVAL_EXPIRED: "Question not answered",
}


def in_words(kind: str) -> str:
    """The kind in words; one that only a newer version knows is shown as it is written."""
    return WORDS[NoticeKind(kind)] if kind in WORDS else kind.replace("_", " ")
