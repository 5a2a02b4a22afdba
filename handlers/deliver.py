"""The deliver step: hands a story to the connector of one destination."""

from datetime import datetime

import sqlalchemy as sa

from handlers.attempt import Attempt
from handlers.places import admit, failure, open_connector
from handlers.publications import publication, withdrawal
from service.connectors import can_ask, connector_class
from service.domain.delivery import DeliveryFailed, Reference
from service.domain.notices import NoticeKind, Trouble
from service.domain.states import Intent, StepKind, StepState, StoryState
from service.domain.steps import ClaimedStep, Done, Lane, Later, Record, Released, StepFailed
from service.ledger import (
    approvals,
    deliveries,
    lanes,
    notices,
    progress_steps,
    revisions,
    steps,
    stories,
    withdrawals,
)
from service.ledger.asked_places import shown_at
from service.ledger.deliveries import Delivery
from service.ledger.stories import StoryRow
from service.video_store import StoreError
from service.wiring import Relay

EARLIER_REVISION_SECONDS = 5.0
"""How long a revision waits for the one before it, each time it looks."""

PROGRESS_SECONDS = 2.0
"""How long a delivery waits for the progress that it replaces, each time it looks."""

UNWOKEN_SECONDS = 900.0
"""After how long a delivery that waits for others looks itself, should nothing have woken it."""

UNANSWERED_SECONDS = 86400.0
"""After how long a delivery that waits for people looks itself, should nothing have woken it."""

_CANCELLED = "the story was cancelled"


def work(relay: Relay, step: ClaimedStep, attempt: Attempt) -> Done | Later:
    """Publishes one revision of a story to one destination, or takes the story back. Raises StepFailed."""
    row = attempt.story()
    if row.state == StoryState.CANCELLED and step.intent == Intent.PUBLISH:
        # it ran when the story was cancelled, and did not succeed then
        return Done(
            _CANCELLED, remark=_CANCELLED, record=_ended(step), reached=False, state=StepState.CANCELLED
        )
    known = _known(relay, step)
    if isinstance(known, Done | Later):
        return known
    later = _held_up(relay, step) or admit(relay, step, attempt)
    if later is not None:
        return later
    try:
        return _call(relay, step, row, attempt, step.reference or known)
    except DeliveryFailed as error:
        attempt.check()
        raise failure(error) from error
    except StoreError as error:
        attempt.check()
        raise StepFailed(f"its video can't be read: {error}", permanent=error.permanent) from error


def _known(relay: Relay, step: ClaimedStep) -> Reference | Done | Later:
    """What earlier revisions, or the progress shown there, kept; or why the place is not to be called now."""
    with relay.ledger.read() as tx:
        # not by the story's revision: one whose video turned out the same has no deliveries of its own
        superseded = revisions.is_superseded(tx, step)
        earlier_runs, earlier_reference = revisions.earlier(tx, step)
        showing, shown = progress_steps.told(tx, step.story_key, step.lane.destination)
        begun = withdrawals.has_begun(tx, step)
    if superseded:
        said = "superseded by a later revision"
        return Done(said, remark=revisions.SUPERSEDED, record=_ended(step), reached=False)
    if earlier_runs:
        # the two would not see each other's publication and make two
        return Later("an earlier revision is just being published", EARLIER_REVISION_SECONDS, reached=False)
    if step.intent == Intent.WITHDRAW and not begun:
        return _withdrawn(step, withdrawals.NEVER_BEGUN, reached=False)
    if showing:
        return Later("its progress is just being shown there", PROGRESS_SECONDS, reached=False)
    return earlier_reference or shown


def dead(relay: Relay, tx: sa.Connection, step: ClaimedStep, message: str, now: datetime) -> None:
    """Gives the story to the destination's fallback and tells people; the others are not held up."""
    row = stories.lock(tx, step.story_key)
    goes_on = " ".join(filter(None, (_fall_back(relay, tx, step, now), _unasked(relay, tx, step))))
    notices.add(tx, _trouble(step, row, message, goes_on), relay.configuration.notices, now)
    progress_steps.ask(tx, row.id, now)
    _ended(step)(tx, now)


def _call(relay: Relay, step: ClaimedStep, row: StoryRow, attempt: Attempt, reference: Reference) -> Done:
    connector = open_connector(relay, step.lane.destination, attempt.stop_reason, attempt.sent)
    if step.intent == Intent.WITHDRAW:
        answer = connector.withdraw(withdrawal(relay, step, row, attempt, reference))
        said = f"withdrawn: {answer.remark}" if answer.remark else "withdrawn"
        return _withdrawn(step, said, answer.reference)
    wanted = publication(relay, step, row, attempt, reference)
    _begin(relay, step)
    published = connector.publish(wanted)
    return Done(
        published.remark or "published",
        record=_published(step),
        reference=published.reference,
        url=published.url,
        remark=published.remark or None,
    )


def _begin(relay: Relay, step: ClaimedStep) -> None:
    """Commits that the place is about to be called: from here on a withdrawal has to ask it."""
    if step.begun_at is not None:
        return
    with relay.ledger.write() as tx:
        if not withdrawals.begin(tx, step, relay.now()):
            raise Released("a person wants it withdrawn by now")


def _held_up(relay: Relay, step: ClaimedStep) -> Done | Later | None:
    """Leaves a place alone that somebody has paused meanwhile, and lets the deliveries that are to come first end."""
    with relay.ledger.read() as tx:
        lane = lanes.read(tx, step.lane)
    if lane.is_paused:
        # due at once, so that it keeps its place: the lane is what waits
        return Later(f"{step.lane.destination} is {lane.message}", 0.0, reached=False)
    return _unanswered(relay, step) or _comes_after(relay, step)


def _unanswered(relay: Relay, step: ClaimedStep) -> Done | Later | None:
    """Waits until people have approved; ends where they did not. Their answer wakes it."""
    with relay.ledger.read() as tx:
        question = approvals.holds(tx, step)
    if question is None:
        return None
    if not question.is_open:
        said = question.told
        return Done(said, remark=said, record=_ended(step), reached=False, state=StepState.CANCELLED)

    def record(tx: sa.Connection, now: datetime) -> None:
        approvals.wait(tx, step, now)

    left = UNANSWERED_SECONDS
    if question.expires_at is not None:
        left = max(left, (question.expires_at - relay.now()).total_seconds())
    return Later(f"waits for approval by {question.destination}", left, record=record, reached=False)


def _comes_after(relay: Relay, step: ClaimedStep) -> Later | None:
    """Lets the deliveries that are to come first end; the last of them wakes this one."""
    config = relay.configuration.destinations.get(step.lane.destination)
    if config is None or step.intent == Intent.WITHDRAW:
        return None
    with relay.ledger.read() as tx:
        first = deliveries.unended(tx, step.story_key, step.revision, config.after)
    if not first:
        return None

    def record(tx: sa.Connection, now: datetime) -> None:
        deliveries.wait_for(tx, step, first, now)

    return Later(f"waits for {', '.join(first)}", UNWOKEN_SECONDS, record=record, reached=False)


def _published(step: ClaimedStep) -> Record:
    """As `_ended`; and has people asked there what they are to decide, now that they can see the story."""

    def record(tx: sa.Connection, now: datetime) -> None:
        approvals.begin_asking(tx, step.story_key, step.revision, step.lane.destination, now)
        _ended(step)(tx, now)

    return record


def _ended(step: ClaimedStep) -> Record:
    """A record of what follows when a delivery ends, however it does."""

    def record(tx: sa.Connection, now: datetime) -> None:
        deliveries.wake(tx, step.story_key, now)
        if stories.settle_if_over(tx, step.story_key, now) and step.revision == 1:
            progress_steps.ask(tx, step.story_key, now)

    return record


def _withdrawn(
    step: ClaimedStep, said: str, reference: Reference | None = None, *, reached: bool = True
) -> Done:
    def record(tx: sa.Connection, now: datetime) -> None:
        withdrawals.forget_publication(tx, step)
        deliveries.tell_withdrawn(tx, stories.lock(tx, step.story_key), now)
        progress_steps.ask(tx, step.story_key, now)
        _ended(step)(tx, now)

    state = StepState.CANCELLED
    return Done(said, record=record, reference=reference, remark=said, state=state, reached=reached)


def _fall_back(relay: Relay, tx: sa.Connection, step: ClaimedStep, now: datetime) -> str:
    """Has the story go to the destination's fallback, unless it went there anyway; says so for people."""
    config = relay.configuration.destinations.get(step.lane.destination)
    if config is None or config.fallback is None or step.intent == Intent.WITHDRAW:
        return ""
    if revisions.is_superseded(tx, step):
        return f"A later video of it is to go to {step.lane.destination}."
    name = config.fallback
    there = deliveries.newest(tx, step.story_key, name)
    if there is not None and there.is_withdrawn:
        return f"It does not go to {name} instead: it was withdrawn from there."
    if there is not None and there.revision >= step.revision:
        return _as_it_stands(there, step)
    lane = Lane(StepKind.DELIVER, name)
    instead = steps.NewStep(lane, step.story, step.revision, step.route, instead_of=step.lane.destination)
    steps.add(tx, [instead], now)
    revisions.supersede(tx, step.story_key, StepKind.DELIVER, [name], step.revision, now)
    return f"It goes to {name} instead."


def _unasked(relay: Relay, tx: sa.Connection, step: ClaimedStep) -> str:
    """Says for people what becomes of what this destination was to be asked."""
    asked = approvals.asked_at(tx, step.story_key, step.revision, step.lane.destination)
    waiting = sorted({name for row in asked if row.is_open for name in approvals.waiting_for(tx, row)})
    if not waiting or step.intent == Intent.WITHDRAW:
        return ""
    whether = f"whether it may go to {', '.join(waiting)}"
    *_, last = shown_at(tx, step.story_key, step.revision, step.lane.destination)
    if last == step.lane.destination or not _gets_it(tx, step, last):
        where = f"{relay.settings.public_url}/approvals"
        return f"Nobody is asked {whether}: approve or reject it on the dashboard, {where}"
    config = relay.configuration.destinations.get(last)
    # one that can't ask says so, with where to answer, once it has the story
    return f"{last} is asked {whether}." if config and can_ask(connector_class(config.connector)) else ""


def _gets_it(tx: sa.Connection, step: ClaimedStep, name: str) -> bool:
    """Whether the destination, which stands in for the step's one, has the story or is to get it."""
    there = deliveries.newest(tx, step.story_key, name)
    lost = StepState.DEAD, StepState.CANCELLED
    return there is not None and not there.is_withdrawn and there.state not in lost


def _as_it_stands(there: Delivery, step: ClaimedStep) -> str:
    name = there.destination
    if there.revision > step.revision:
        return f"It does not go to {name} instead: a later video of it is there, or on its way."
    if there.state == StepState.DEAD:
        return f"It could not be delivered to {name} either, which would get it instead."
    if there.state == StepState.DONE:
        return f"{name}, which would get it instead, has it already."
    return f"It is on its way to {name} anyway, which would get it instead."


def _trouble(step: ClaimedStep, row: StoryRow, message: str, goes_on: str) -> Trouble:
    destination = step.lane.destination
    withdraws = step.intent == Intent.WITHDRAW
    failed = "withdrawn from" if withdraws else "published at"
    goes = f"\n{goes_on}" if goes_on else ""
    return Trouble(
        key=f"{NoticeKind.DELIVERY_DEAD}/{step.id}/{step.repeat}",
        kind=NoticeKind.DELIVERY_DEAD,
        title=f"Not {'withdrawn from' if withdraws else 'delivered to'} {destination}: {row.title or row.name}",
        text=(
            f"Story {row.name} could not be {failed} {destination}: {message}{goes}\n"
            f"Once mended: storyrelay {'withdraw' if withdraws else 'replay'} {row.name} --destination {destination}"
        ),
        story=row.id,
        about=destination,
    )
