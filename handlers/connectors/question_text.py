"""A question as plain text, for places whose messages have no buttons."""

from collections.abc import Callable

from handlers.message_text import cut, line
from service.domain.approvals import Question
from service.domain.delivery import Notice, Published


def title(question: Question) -> str:
    """What is asked, in a line."""
    name = cut(line(question.story.name), 120)
    return f"{'Reminder: approve' if question.reminded else 'Approve'} “{name}”?"


def text(question: Question) -> str:
    """What is asked, what follows from the answer, and where it is given."""
    said = [
        f"May “{cut(line(question.story.name), 120)}” go to {', '.join(question.waiting) or 'its other destinations'}?",
        f"Decide here (opening the page decides nothing):\n{question.link}",
    ]
    if question.expires_at is not None:
        said.append(f"Without an answer until {question.expires_at:%Y-%m-%d %H:%M} UTC it goes nowhere else.")
    return "\n\n".join(said)


def notice(question: Question) -> Notice:
    """The question, or its reminder, as a notice."""
    again = "-reminder" if question.reminded else ""
    return Notice(
        id=f"{question.key}{again}",
        kind="approval",
        title=title(question),
        text=text(question),
        at=question.asked_at,
        story_id=question.story.id,
    )


def stage(question: Question) -> str | None:
    """What is still to be said at a place where nothing can be changed later; None: nothing."""
    if not question.is_open:
        return None
    kept = question.reference if question.reference.get("key") == question.key else {}
    wanted = "reminded" if question.reminded else "asked"
    return None if kept.get(wanted) else wanted


def ask_by_notice(question: Question, send: Callable[[Notice], Published]) -> Published:
    """Sends what is still to be said, and keeps that it was; what was sent there can't be changed later."""
    wanted = stage(question)
    if wanted is None:
        return Published(remark=question.told or "asked")
    question.check()
    told = send(notice(question))
    kept = question.reference if question.reference.get("key") == question.key else {}
    question.save({**kept, "key": question.key, "asked": True, wanted: True})
    return Published(remark=f"{wanted}; {told.remark}" if told.remark else wanted)
