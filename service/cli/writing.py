"""What people are told where this machine lets nothing be written."""

import errno
from pathlib import Path

import sqlalchemy as sa

from service.settings import Settings

FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
FULL = (errno.ENOSPC, errno.EDQUOT)
_SQLITE_SAYS = ("readonly database", "unable to open database file")


def unwritable(error: OSError) -> str:
    """Which folder nothing can be written to, why, and what to do."""
    path = Path(str(error.filename or "."))
    said = f"{path} can't be written: {error.strerror}."
    if error.errno in FORBIDDEN:
        return f"{said} {mend_folder(path.parent)}"
    room = "Make room there" if error.errno in FULL else "Remove what is in the way"
    return f"{said} {room}, or set STORYRELAY_HOME to another folder"


def mend_folder(folder: Path) -> str:
    """What to do about a folder that this user may not write to."""
    return f"Let this user write to {folder} (whose is it?), or set STORYRELAY_HOME to a folder of yours"


def unwritable_ledger(settings: Settings, error: Exception) -> Path | None:
    """The folder of a ledger that is a file which can't be written; None where the error says something else."""
    url = sa.make_url(settings.database_url)
    said = str(getattr(error, "orig", None) or error)
    if url.get_backend_name() != "sqlite" or not any(words in said for words in _SQLITE_SAYS):
        return None
    return Path(str(url.database)).parent
