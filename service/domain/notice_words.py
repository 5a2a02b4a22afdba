"""The kinds of notice in words, as people read them."""

from collections.abc import Sequence

from service.domain.notices import NoticeKind, Told

SHOWN = 5
LONGEST_LINE = 300

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
    NoticeKind.DIGEST: "Daily digest",
    NoticeKind.RESOLVED: "Over",
    NoticeKind.APPROVAL_UNASKED: "Question not asked",
    NoticeKind.APPROVAL_EXPIRED: "Question not answered",
}


def in_words(kind: str) -> str:
    """The kind in words; one that only a newer version knows is shown as it is written."""
    return WORDS[NoticeKind(kind)] if kind in WORDS else kind.replace("_", " ")


_MANY = {
    NoticeKind.STORY_FAILED: "stories failed",
    NoticeKind.STORY_UNKNOWN: "stories are unknown to the Story API",
    NoticeKind.STORY_GIVEN_UP: "stories were given up",
    NoticeKind.STORY_UNCONFIRMED: "submissions got no answer",
    NoticeKind.DELIVERY_DEAD: "deliveries were given up",
    NoticeKind.LANE_PAUSED: "times work was paused",
    NoticeKind.LANE_OFF: "destinations were switched off",
    NoticeKind.LANE_RECOVERED: "times what was paused worked again",
    NoticeKind.RESOLVED: "troubles are over",
    NoticeKind.APPROVAL_UNASKED: "questions could not be asked",
    NoticeKind.APPROVAL_EXPIRED: "questions were not answered",
}


def in_many(kind: str, count: int) -> str:
    """Several notices of the kind: "7 deliveries were given up"; one as the kind is called: "delivery given up"."""
    if count == 1:
        return f"1 {in_words(kind)[:1].lower()}{in_words(kind)[1:]}"
    return f"{count:,} {_MANY[NoticeKind(kind)] if kind in _MANY else f'times: {in_words(kind).lower()}'}"


def gathered(noted: Sequence[Told], page: str) -> tuple[str, str]:
    """The title and the text of one message about these, of one kind, the oldest first; `page` shows all of them.

    One is told whole. Of several there are the newest, a line each.
    """
    why = "\n".join(f"({remark}.)" for remark in dict.fromkeys(each.remark for each in noted if each.remark))
    first = noted[0]
    if len(noted) == 1:
        return first.title, "\n".join(filter(None, (first.text, why)))
    title = f"{in_many(first.kind, len(noted))} since {first.created_at:%Y-%m-%d %H:%M} UTC"
    lines = [_line(each) for each in noted[::-1][:SHOWN]]
    left = len(noted) - len(lines)
    more = f"… and {left} more: {page}" if left else f"All of them: {page}"
    return title, "\n".join(filter(None, (*lines, more, why)))


def _line(noted: Told) -> str:
    line = " – ".join((noted.title, *noted.text.split("\n", 1)[:1])).rstrip(" –")
    return f"• {line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + '…'}"
