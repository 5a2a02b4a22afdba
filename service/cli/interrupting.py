"""Ctrl-C as a wish to end a call, instead of an exception wherever the program happens to be."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from service.wiring import Stop


@contextmanager
def ctrl_c() -> Iterator[Stop]:
    """Within the block Ctrl-C only gives calls a reason to stop, so that what they did is still recorded.

    A second one is an exception as usual: who presses twice does not want to wait. For the main thread.
    """
    pressed = False

    def press(_number: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: "Ctrl-C was pressed" if pressed else None
    finally:
        signal.signal(signal.SIGINT, before)
