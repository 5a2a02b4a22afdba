"""A poster for a mail: a copy with a play mark, for mails can't play videos, and people know what the mark means.

FFmpeg draws it in a process of its own, as all that it does here: it costs no memory of the worker, and whatever a
picture does to it ends that process alone.
"""

import subprocess
import sys
from pathlib import Path

_SECONDS = 20
_PROGRAM = "handlers.connectors.email_play_mark"


def with_play_mark(poster: Path) -> bytes:
    """The JPEG with the mark, at most 1200 pixels wide; as it is where that can't be drawn.

    Raises OSError when the file can't be read.
    """
    jpeg = poster.read_bytes()
    try:
        done = subprocess.run(  # noqa: S603 (our own interpreter and module)
            [sys.executable, "-P", "-m", _PROGRAM],
            input=jpeg,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
    except (subprocess.SubprocessError, OSError):
        return jpeg  # the mail has a button as well
    return done.stdout or jpeg
