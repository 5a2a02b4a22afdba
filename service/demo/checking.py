"""Whether each story ended as it should, by the ledger and by what the places themselves have."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from service.demo.folder import DemoFolder
from service.demo.places import Places
from service.demo.stories import ARCHIVE, DESTINATIONS, MAIL, SLACK, WEBHOOK
from service.demo.watching import Seen
from service.domain.states import NoticedBy, StepState, StoryState
from service.ledger.stories import StoryRow, VideoRow
from service.video_store import safe_segment

STORY_EVENT = "storyrelay_story"
NOTICE_EVENT = "storyrelay_notice"
PUBLISHED = "story.published"
NOTICE_SUBJECT = "[Storyrelay]"

_REFUSED_ON_PURPOSE = 1
"""Requests to which the webhook sink says 503."""


def problems(seen: Sequence[Seen], places: Places, folder: DemoFolder) -> list[str]:
    """What is not as it should be, in words; empty when all is well."""
    found = [f"{story.wish.title}: {said}" for story in seen for said in _of_story(story, places, folder)]
    return [*found, *_of_all(seen, places)]


def _of_story(seen: Seen, places: Places, folder: DemoFolder) -> Iterator[str]:
    if seen.row is None:
        yield "it was never submitted"
        return
    yield from _ending(seen, seen.row)
    if seen.row.state == StoryState.SETTLED:
        yield from _deliveries(seen)
    if seen.wish.ends == StoryState.SETTLED and seen.row.story_id is not None and seen.video is not None:
        yield from _at_the_places(seen, seen.row, seen.video, places, folder)


def _ending(seen: Seen, row: StoryRow) -> Iterator[str]:
    wish = seen.wish
    if row.state != wish.ends:
        said = f" ({row.message})" if row.message else ""
        yield f"it should be {wish.ends.value}, and is {row.state.value}{said}"
    elif wish.reason not in (row.message or ""):
        yield f"its message should say {wish.reason!r}, and says {row.message!r}"
    if len(seen.receipts) < wish.webhooks:
        yield f"{wish.webhooks} of its webhooks should have arrived, and {len(seen.receipts)} have"
    if row.noticed_by is not None and not _noticed_rightly(seen, row):
        yield f"it should have been noticed by {wish.noticed.value}, and was by {row.noticed_by}"
    if row.state in (StoryState.FAILED, StoryState.GIVEN_UP):
        yield from (f"{name} was not told of it" for name in (SLACK, MAIL) if seen.told(name) != 1)


def _noticed_rightly(seen: Seen, row: StoryRow) -> bool:
    """A poll may be first where the webhook came only after it; a webhook that had come may not be passed over."""
    if row.noticed_by == seen.wish.noticed:
        return True
    first = min((receipt.received_at for receipt in seen.receipts), default=None)
    late = first is None or row.finished_at is None or first > row.finished_at
    return seen.wish.noticed == NoticedBy.WEBHOOK and late


def _deliveries(seen: Seen) -> Iterator[str]:
    for name in DESTINATIONS:
        step, wanted = seen.delivery(name), name in seen.wish.destinations
        if step is None and wanted:
            yield f"it was not sent to {name}"
        elif step is not None and not wanted:
            yield f"it was sent to {name}, which its routes do not name"
        elif step is not None and step.state != StepState.DONE:
            yield f"{name} did not get it: {step.last_error or step.state}"


def _at_the_places(
    seen: Seen, row: StoryRow, video: VideoRow, places: Places, folder: DemoFolder
) -> Iterator[str]:
    story_id = row.story_id or ""
    counts = {
        SLACK: _slack_messages(places, row),
        WEBHOOK: sum(d.story_id == story_id for d in places.sink.deliveries if d.type == PUBLISHED),
        MAIL: sum(story_id in mail for mail in _story_mails(places)),
    }
    for name, count in counts.items():
        wanted = int(name in seen.wish.destinations)
        if count != wanted:
            yield f"{name} should have it {wanted}×, and has it {count}×"
    kept = folder.archive / safe_segment(story_id) / "video.mp4"
    if not kept.is_file() or _sha256(kept) != video.sha256:
        yield f"{ARCHIVE} should have its video in {kept}, and has not, or another one"
    if video.sha256 not in {file.sha256 for file in places.slack.files}:
        yield f"{SLACK} should have its video as a file, and has not"


def _of_all(seen: Sequence[Seen], places: Places) -> Iterator[str]:
    taken = places.sink.deliveries
    ids = Counter(delivery.id for delivery in taken)
    yield from (f"{WEBHOOK} got the message {name} {count} times" for name, count in ids.items() if count > 1)
    refused = places.sink.requests - len(taken) - _REFUSED_ON_PURPOSE
    if refused > 0:
        yield f"{WEBHOOK} refused {refused} requests: a signature did not match"
    unhappy = sum(story.wish.ends != StoryState.SETTLED for story in seen)
    told = {SLACK: _slack_notices(places), MAIL: _notice_mails(places)}
    for name, count in told.items():
        if count != unhappy:
            yield f"{name} should have been told of {unhappy} troubles, and was of {count}"


def _slack_messages(places: Places, row: StoryRow) -> int:
    """Messages that carry this submission in their metadata."""
    payloads = [
        (m.metadata or {}).get("event_payload") or {}
        for m in places.slack.messages
        if (m.metadata or {}).get("event_type") == STORY_EVENT
    ]
    return sum(str(one.get("message_id", "")).startswith(f"{row.submission_id}-") for one in payloads)


def _slack_notices(places: Places) -> int:
    return sum((m.metadata or {}).get("event_type") == NOTICE_EVENT for m in places.slack.messages)


def _story_mails(places: Places) -> list[str]:
    """The plain texts of the mails that bring stories."""
    parts = [mail.message.get_body(("plain",)) for mail in places.mailbox.messages]
    return [part.get_content() for part in parts if part is not None]


def _notice_mails(places: Places) -> int:
    return sum(str(mail.message["Subject"]).startswith(NOTICE_SUBJECT) for mail in places.mailbox.messages)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
