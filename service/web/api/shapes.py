"""What the API answers, as its document tells it; `service.story_json` makes it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.domain.approvals import ApprovalState, Through
from service.domain.notices import NoticeKind
from service.domain.states import (
    Intent,
    NoticedBy,
    Origin,
    Outcome,
    StepKind,
    StepState,
    StoryState,
    Verdict,
)

Moment = Annotated[datetime, Field(description="ISO 8601, UTC")]


class Shape(BaseModel):
    """An object of an answer; it has exactly these members."""

    model_config = ConfigDict(extra="forbid")


class FieldError(Shape):
    """What is wrong with one field."""

    field: str = Field(description="With dots between its parts; empty for the whole.")
    problem: str


class Problem(Shape):
    """A problem document (RFC 9457)."""

    type: str = Field(description="`about:blank`, or `urn:storyrelay:problem:` and a word for programs.")
    title: str
    status: int
    detail: str = Field(description="What happened and what to do, for people.")
    instance: str = Field(description="The path that was asked for.")
    errors: list[FieldError] | None = None


class Story(Shape):
    """One story."""

    id: str | None = Field(description="The Story API's id, null while it is not known.")
    submission_id: str
    state: StoryState
    title: str
    kind: Literal["idea", "url", "images"] | None
    origin: Origin
    route: str | None = Field(description="The route that it is pinned to.")
    labels: dict[str, str]
    message: str | None = Field(description="Why it ended otherwise than settled.")
    api_status: str | None
    progress: int | None
    revision: int = Field(description="0: no video yet.")
    noticed_by: NoticedBy | None
    polls: int
    estimated_credits: int | None
    used_credits: float | None
    created_at: Moment
    webhook_at: Moment | None
    finished_at: Moment | None
    settled_at: Moment | None
    next_poll_at: Moment | None


class Step(Shape):
    """One unit of work."""

    kind: StepKind
    destination: str | None
    revision: int
    route: str | None
    state: StepState
    intent: Intent
    instead_of: str | None
    waiting_for: list[str] | None
    attempts: int
    repeats: int
    url: str | None = Field(description="Where the publication can be seen.")
    remark: str | None
    last_error: str | None
    next_at: Moment | None
    ended_at: Moment | None


class Attempt(Shape):
    """One try of a step."""

    kind: StepKind
    destination: str | None
    outcome: Outcome
    detail: str
    started_at: Moment
    ended_at: Moment | None


class Receipt(Shape):
    """One webhook as it arrived."""

    verdict: Verdict
    token: str = Field(description="Whose address it came by: `submission`, or `route:` and its name.")
    claimed_id: str | None
    claimed_status: str | None
    content_type: str
    remote: str
    body: str = Field(description="As text, cut after 2,000 bytes.")
    received_at: Moment


class Notice(Shape):
    """Something that people were told of."""

    kind: NoticeKind
    title: str
    text: str
    created_at: Moment


class ReceiptInList(Shape):
    """One webhook, without its body."""

    id: int
    story: str | None = Field(description="By the Story API's id, or our submission's.")
    verdict: Verdict
    token: str
    claimed_id: str | None
    claimed_status: str | None
    remote: str
    received_at: Moment


class ListedReceipt(Receipt):
    """One webhook, and the story that it was taken for."""

    id: int
    story: str | None = Field(description="By the Story API's id, or our submission's.")


class Trouble(Shape):
    """Trouble that lasts, or lasted."""

    kind: NoticeKind
    about: str = Field(description="The destination, the disk …; empty where there is one such trouble.")
    title: str
    text: str
    opened_at: Moment
    resolved_at: Moment | None = Field(description="Null while it lasts.")


class ListedTrouble(Trouble):
    """Trouble as the list has it."""

    id: int


class ListedNotice(Notice):
    """Something that people were told of, and of which story."""

    id: int
    story: str | None
    trouble: Trouble | None = Field(description="The trouble whose beginning this told.")


class File(Shape):
    """One file of a video; its address is signed and good for an hour."""

    name: str
    url: str


class Video(Shape):
    """One video."""

    revision: int
    removed_at: Moment | None
    sha256: str
    bytes: int
    seconds: float
    width: int
    height: int
    video_codec: str
    audio_codec: str | None
    files: list[File]


class Event(Shape):
    """Something that happened."""

    at: Moment
    what: str
    outcome: str | None
    text: str


class Approval(Shape):
    """A question to people: whether a story may go on."""

    id: int
    revision: int
    route: str
    destination: str = Field(description="Who is asked.")
    state: ApprovalState
    asked_at: Moment
    reminded_at: Moment | None
    expires_at: Moment | None = Field(description="Without an answer until then it counts as rejected.")
    decided_by: str | None
    decided_through: Through | None
    decided_at: Moment | None
    note: str


class ListedApproval(Approval):
    """A question in a list, and its story."""

    story: str = Field(description="The Story API's id, or our submission's while it is not known.")
    waiting: list[str] = Field(description="The destinations that wait for the answer.")


class DecidedApproval(Shape):
    """The question as it stands now; `counts`: this answer was the first."""

    approval: ListedApproval
    counts: bool


class StoryInFull(Shape):
    """All of one story."""

    story: Story
    timeline: list[Event]
    destinations: list[Step] = Field(description="The newest delivery to each destination.")
    video: Video | None
    steps: list[Step]
    attempts: list[Attempt]
    receipts: list[Receipt]
    notices: list[Notice]
    approvals: list[Approval]
