"""What Linux offers for processes and Python has no word for."""

import ctypes
import os
import select
import signal
import socket
import sys
from collections import deque
from collections.abc import Iterable
from types import FrameType

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent(parent: int) -> None:
    """Has the kernel send this process SIGTERM when its parent ends, even by SIGKILL; elsewhere nothing happens.

    For a new child of fork; `parent` is the process that forked it, which may have ended in between.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


class SignalInbox:
    """Signals as events: nothing is interrupted where it stands, and none is lost between two waits.

    Unlike sigwait, it also hears what the kernel hands to a thread that some library made. Make it in the main
    thread, once a process.
    """

    def __init__(self, signals: Iterable[int]) -> None:
        self._signals = tuple(signals)
        self._arrived: deque[int] = deque()
        self._wakes, waker = socket.socketpair()
        for end in (self._wakes, waker):
            end.setblocking(False)
        self._waker = waker
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        for number in self._signals:
            signal.signal(number, self._arrive)

    def wait(self, seconds: float | None = None) -> int | None:
        """The next signal; None when none came within `seconds` (None: waits without end)."""
        if not self._arrived:
            select.select([self._wakes], [], [], seconds)
            self._drain()
        return self._arrived.popleft() if self._arrived else None

    def leave(self) -> None:
        """For a child of fork: signals do again what they do by default."""
        signal.set_wakeup_fd(-1)
        for number in self._signals:
            signal.signal(number, signal.SIG_DFL)
        self._wakes.close()
        self._waker.close()

    def _arrive(self, number: int, _frame: FrameType | None) -> None:
        self._arrived.append(number)

    def _drain(self) -> None:
        try:
            while self._wakes.recv(4096):
                pass
        except BlockingIOError:
            return
