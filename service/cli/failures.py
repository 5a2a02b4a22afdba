"""Which errors people can do something about, and the exit code of each."""

import click
from sqlalchemy.exc import DatabaseError, DBAPIError

from service.cli.output import plain_lines
from service.cli.session import NotMigrated, UnknownStory, needs_migration, reason
from service.cli.writing import FORBIDDEN, FULL, mend_folder, unwritable, unwritable_ledger
from service.configuration import ConfigurationError
from service.connectors import UnknownConnector
from service.domain.delivery import DeliveryFailed
from service.domain.routing import UnknownRoute
from service.job_queue import QueueDown
from service.ledger import LedgerDown
from service.replaying import NothingToReplay
from service.settings import SettingsError, load_settings
from service.story_api import InvalidRequest, StoryApiError
from service.submission import AlreadyAsked, SubmissionInterrupted
from service.video_store import BadLocation, StoreError
from service.wiring import UnknownDestination
from service.withdrawing import NothingToWithdraw

_MISUSED = (
    SettingsError, ConfigurationError, InvalidRequest, UnknownDestination, UnknownRoute, UnknownConnector,
    BadLocation, NotMigrated,
)  # fmt: skip
_FAILED = (
    UnknownStory, AlreadyAsked, SubmissionInterrupted, NothingToReplay, NothingToWithdraw, StoryApiError,
    DeliveryFailed, StoreError, QueueDown,
)  # fmt: skip


class Failure(click.ClickException):
    """What was asked failed: a message for people, exit code 1."""

    def __init__(self, message: str) -> None:
        super().__init__(plain_lines(message))


class Misuse(Failure):
    """Wrong use or settings: exit code 2."""

    exit_code = 2


def told(error: Exception) -> Failure | None:
    """How the error is told to people; None for a mistake of ours, which keeps its traceback."""
    if isinstance(error, _MISUSED):
        return Misuse(str(error))
    if isinstance(error, _FAILED):
        return Failure(str(error))
    if isinstance(error, OSError) and error.filename is not None and error.errno in (*FORBIDDEN, *FULL):
        return Failure(unwritable(error))
    if isinstance(error, PermissionError):  # one of ours, which says all
        return Failure(str(error))
    if isinstance(error, (*LedgerDown, DBAPIError)):
        return _of_the_ledger(error)
    return None


def _of_the_ledger(error: Exception) -> Failure | None:
    try:
        behind = needs_migration(load_settings())
    except (*LedgerDown, DBAPIError):
        behind = None
    if behind is not None:
        return Misuse(str(behind))
    folder = unwritable_ledger(load_settings(), error)
    if folder is not None:
        return Failure(f"the ledger can't be written: {reason(error)}. {mend_folder(folder)}")
    if isinstance(error, LedgerDown) or type(error) is DatabaseError:  # its subclasses are mistakes of ours
        return Failure(
            f"the ledger does not answer: {reason(error)}. Check DATABASE_URL, then `storyrelay doctor`"
        )
    return None
