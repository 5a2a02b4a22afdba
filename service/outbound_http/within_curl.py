"""Whether a thread is within curl, where what a signal handler raises would be printed and dropped."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_within: set[int] = set()


@contextmanager
def marked() -> Iterator[None]:
    """Says so of this thread within the block."""
    thread = threading.get_ident()
    _within.add(thread)
    try:
        yield
    finally:
        _within.discard(thread)


def is_within_curl() -> bool:
    """For signal handlers: whether this thread is in a transfer that asks for a reason to stop by itself."""
    return threading.get_ident() in _within
