"""What a question shows of its story: title, poster, video, who is asked until when, and what waits."""

from dataclasses import dataclass

from service.ledger import approvals, stories
from service.ledger.approvals import ApprovalRow
from service.ledger.stories import StoryRow, VideoRow
from service.web.media import PAGE_SECONDS
from service.wiring import Relay


@dataclass(frozen=True)
class Asked:
    """A question with its story; `video` and `poster` are the last parts of signed media addresses, None for none."""

    row: ApprovalRow
    story: StoryRow
    waiting: list[str]
    video: str | None
    poster: str | None


def read_asked(relay: Relay, row: ApprovalRow) -> Asked | None:
    """Reads what belongs to a question; None where its story is gone."""
    with relay.ledger.read() as tx:
        story = stories.read(tx, row.story)
        video = stories.read_video(tx, row.story, row.revision)
        waiting = approvals.waiting_for(tx, row)
    if story is None:
        return None
    there = video if video is not None and video.removed_at is None else None
    return Asked(
        row,
        story,
        waiting,
        _media(relay, there, "video.mp4") if there is not None else None,
        _media(relay, there, "poster.jpg") if there is not None and there.has_poster else None,
    )


def _media(relay: Relay, video: VideoRow, name: str) -> str:
    return relay.media_urls.token(f"{video.prefix}/{name}", name, PAGE_SECONDS)
