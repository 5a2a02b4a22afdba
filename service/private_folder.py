"""Folders that nobody else on the machine may look into."""

import os
import stat
from pathlib import Path

OWNER_ONLY = 0o700


def make_private(folder: Path) -> Path:
    """Makes the folder for this user alone, and closes one of ours that is wider; returns it.

    What is in `var/` names stories, holds signed addresses and keys. Raises PermissionError for a folder (or a
    link) of somebody else, FileExistsError for what is no folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=OWNER_ONLY, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else; remove it, or use another folder")
    if stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) & ~OWNER_ONLY:
        folder.chmod(OWNER_ONLY)
    return folder
