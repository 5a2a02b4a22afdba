"""What `doctor` looks at on this side: ledger, queue, processes, keys, store, and what is stuck."""

import shutil
import socket
import stat
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from redis.exceptions import RedisError
from rq import Worker
from sqlalchemy.exc import DBAPIError

from service.cli.addresses import is_loopback
from service.cli.dead_letters import DeadLetter, dead_letters
from service.cli.findings import Finding, fail, ok, warn
from service.cli.output import moment
from service.cli.session import NotMigrated, check_ledger, reason
from service.cli.writing import mend_folder, unwritable_ledger
from service.domain.states import Circuit, StepKind, StepState
from service.job_queue import QueueDown
from service.ledger import LedgerDown, lanes, reports
from service.ledger.lanes import LaneState
from service.redaction import redact
from service.scheduler_heartbeat import HEARTBEAT, is_alive
from service.settings import Settings
from service.video_store import BadLocation, StoreError
from service.wiring import Relay

MOST_LETTERS = 5
"""Dead letters that are named, the newest first."""

_WORK = {
    StepKind.FETCH: ("fetch", "fetches"),
    StepKind.DOWNLOAD: ("download", "downloads"),
    StepKind.DELIVER: ("delivery", "deliveries"),
    StepKind.NOTIFY: ("notice", "notices"),
    StepKind.PROGRESS: ("line of progress", "lines of progress"),
    StepKind.ASK: ("question", "questions"),
}
_START = "start `storyrelay up`, or the processes of the Procfile"


def check_keys(settings: Settings) -> Iterator[Finding]:
    """The keys that sign our addresses."""
    if not settings.secret_keys:
        yield fail(
            "secret keys",
            "SECRET_KEYS is not set, and there is no var/secret_keys",
            "`storyrelay up` makes one; on several machines set the same SECRET_KEYS on all",
        )
        return
    path = settings.secret_keys_file
    if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield warn("secret keys", f"others on this machine can read {path}", f"chmod 600 {path}")
        return
    yield ok("secret keys", f"{len(settings.secret_keys)}, the first signs")


def check_public_url(settings: Settings) -> Iterator[Finding]:
    """Whether the Story API can reach us."""
    if is_loopback(settings.public_url) and not is_loopback(settings.story_api_url):
        yield warn(
            "public url",
            f"{settings.public_url} is this machine alone: webhooks of {settings.story_api_url} can't arrive",
            "set PUBLIC_URL to what others can reach; until then stories are found by polls, minutes later",
        )
    else:
        yield ok("public url", settings.public_url)


def check_the_ledger(relay: Relay) -> Iterator[Finding]:
    """Reachable, migrated, and takes writes."""
    try:
        check_ledger(relay.settings)
        with relay.ledger.write() as tx:
            reports.beat(tx, "doctor", relay.now())
    except NotMigrated as error:
        yield fail("ledger", str(error), "`storyrelay migrate` brings an old one up to date")
    except (*LedgerDown, DBAPIError) as error:
        folder = unwritable_ledger(relay.settings, error)
        if folder is not None:
            yield fail("ledger", f"it can't be written: {reason(error)}", mend_folder(folder))
            return
        yield fail(
            "ledger", f"it does not answer: {reason(error)}", "check DATABASE_URL and what is behind it"
        )
    else:
        yield ok("ledger", f"{relay.ledger.dialect}, up to date, takes writes")


def check_queue(relay: Relay, *, is_set: bool) -> Iterator[Finding]:
    """The queue and its workers. `is_set`: by REDIS_URL, not by what `up` left behind."""
    if relay.settings.redis_url is None:
        yield warn("queue", "nothing runs here: no queue is known", _START)
        return
    try:
        relay.queue.connection.ping()
        workers = {kind: relay.queue.workers(kind) for kind in StepKind}
    except (RedisError, QueueDown) as error:
        said = redact(str(error))
        if is_set:
            yield fail("queue", f"it does not answer: {said}", "check REDIS_URL and what is behind it")
        else:
            yield warn("queue", "`storyrelay up` ended without clearing up; nothing runs here", _START)
        return
    yield ok("queue", "it answers")
    idle = [str(kind) for kind, there in workers.items() if not there]
    if idle:
        yield fail("workers", f"nobody works on {', '.join(idle)}", "start `storyrelay worker`")
    else:
        yield ok("workers", "each queue has some")
    yield from _check_age(relay.settings.config_path, [each for there in workers.values() for each in there])


def _check_age(config_path: Path, workers: Iterable[Worker]) -> Iterator[Finding]:
    """Whether the configuration is older than the processes of this machine, which read it at their start only."""
    here = socket.gethostname()
    births = [each.birth_date for each in workers if each.hostname == here and each.birth_date is not None]
    if not births or not config_path.exists():
        return
    started = min(birth.replace(tzinfo=UTC) if birth.tzinfo is None else birth for birth in births)
    changed = datetime.fromtimestamp(config_path.stat().st_mtime, UTC)
    if changed > started:
        yield warn(
            "processes",
            f"{config_path} was changed {moment(changed)}, after they were started {moment(started)}",
            "start them again: they read it at their start",
        )


def check_scheduler(relay: Relay) -> Iterator[Finding]:
    """The scheduler's heartbeat."""
    now = relay.now()
    with relay.ledger.read() as tx:
        last = reports.last_beat(tx, HEARTBEAT)
    if is_alive(last, now, relay.settings.sweep_seconds):
        yield ok("scheduler", "alive")
        return
    silent = "it never ran" if last is None else f"it was last alive {(now - last).total_seconds():.0f} s ago"
    told = warn if relay.settings.redis_url is None else fail
    yield told("scheduler", silent, "start `storyrelay scheduler`, or `storyrelay up`")


def check_lanes(relay: Relay) -> Iterator[Finding]:
    """What is paused or switched off, and which steps were given up."""
    with relay.ledger.read() as tx:
        closed = [state for state in lanes.all_lanes(tx) if state.circuit != Circuit.CLOSED]
        backlog = reports.backlog(tx)
        letters = {kind: dead_letters(tx, kind, MOST_LETTERS) for kind in StepKind}
    for state in closed:
        yield _lane(state)
    for kind in StepKind:
        dead = backlog.get(kind, {}).get(StepState.DEAD, 0)
        if dead:
            yield _dead(kind, dead, letters[kind])


def _dead(kind: StepKind, count: int, letters: list[DeadLetter]) -> Finding:
    one, several = _WORK[kind]
    listed = ", ".join(each.shown for each in letters)
    more = f" and {count - len(letters)} more" if count > len(letters) else ""
    text = f"{count} {one} was given up" if count == 1 else f"{count} {several} were given up"
    name = next((each.story for each in letters), "ID")
    advice = (
        f"mend the destination, then: storyrelay send-test {letters[0].destination if letters else 'NAME'}"
        if kind
        in (StepKind.NOTIFY, StepKind.PROGRESS, StepKind.ASK)  # replaying a story does not repeat its notices
        else f"`storyrelay show {name}` says why; `storyrelay replay {name}` tries again"
    )
    return warn("dead letters", f"{text}: {listed}{more}", advice)


def _lane(state: LaneState) -> Finding:
    name = str(state.lane)
    why = state.message or state.reason or "no reason is recorded"
    if state.lane.destination:
        advice = f"mend it, then: storyrelay send-test {state.lane.destination}"
    elif state.lane.kind == StepKind.FETCH:
        advice = "check STORY_API_KEY and the account's credits; it is tried again by itself"
    else:
        advice = "it is tried again by itself once that is mended"
    if state.circuit == Circuit.OFF:
        return fail(name, f"switched off: {why}", advice)
    return warn(name, f"paused: {why}", advice)


def check_store(relay: Relay) -> Iterator[Finding]:
    """The video store takes files, and has room."""
    try:
        store = relay.video_store()
        store.check()
    except (BadLocation, StoreError) as error:
        yield fail("video store", str(error), "check VIDEO_STORE")
        return
    folder = _folder(relay.settings.video_store)
    if folder is None:
        yield ok("video store", store.location)
        return
    free, wanted = shutil.disk_usage(folder).free, relay.settings.max_video_bytes
    if free < wanted:
        yield warn(
            "video store",
            f"{folder} has {free / 2**30:.1f} GiB left, and one video may have {wanted / 2**30:.1f}",
            "make room, set VIDEO_STORE to another place, or lower STORYRELAY_MAX_VIDEO_BYTES",
        )
    else:
        yield ok("video store", f"{store.location}, {free / 2**30:.1f} GiB left")


def _folder(location: str) -> Path | None:
    url = urlsplit(location)
    return Path(unquote(url.path)) if url.scheme == "file" else None
