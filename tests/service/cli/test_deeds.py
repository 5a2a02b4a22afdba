"""What is done from the command line stands in the audit log beside what is done on the dashboard."""

from service.domain.states import StepState
from service.ledger import people


def deeds(home):
    with home.ledger.read() as tx:
        return [(deed.who, deed.action, deed.about) for _, deed in people.deeds(tx, 20)][::-1]


def test_commands_that_change_something_are_told_as_the_shell_s(online, book):
    book.settled("story-1", {"shelf": StepState.DONE, "attic": StepState.DONE})
    online.done("replay", "story-1", "--destination", "shelf")
    online.done("withdraw", "story-1", "--destination", "attic")
    online.done("track", "story-2", "--unseen")
    online.done("send-test", "shelf")
    submission = online.json("submit", "idea", "A fox")["submission_id"]
    assert deeds(online) == [
        ("shell", "replay", "story-1"),
        ("shell", "withdraw", "story-1"),
        ("shell", "track", "story-2"),
        ("shell", "send_test", "shelf"),
        ("shell", "submit", submission),
    ]


def test_what_only_looks_or_was_refused_leaves_no_line(home, book):
    book.settled("story-1", {})
    home.done("show", "story-1")
    home.run("withdraw", "story-1")
    home.run("submit", "idea", "A fox", "--dry-run")
    assert deeds(home) == []
