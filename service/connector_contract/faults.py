"""Faults at the boundaries between two remote calls."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, ParamSpec, TypeVar

from service.outbound_http import HttpClient, NoAnswer, Request, Response

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Faults:
    """What goes wrong in the remote calls of one publication, counted from 1.

    `at` is the number of the call that is hit; 0: none. "killed before" and "killed after" end the process;
    "answer lost" does the call and raises; `answer` stands in for the place's answer to that call.
    """

    at: int = 0
    kind: Literal["killed before", "killed after", "answer lost", "answered"] = "answer lost"
    answer: Response | None = None
    calls: int = 0

    def around(self, call: Callable[P, R], lost: Callable[[], Exception]) -> Callable[P, R]:
        """The call, hit where it is its turn; `lost` makes the error by which its client tells a lost answer."""

        def faulty(*args: P.args, **kwargs: P.kwargs) -> R:
            self.calls += 1
            if self.calls != self.at:
                return call(*args, **kwargs)
            if self.kind == "killed before":
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                call(*args, **kwargs)
            finally:  # an answer such as "there is none" may be an exception
                if self.kind == "killed after":
                    os.kill(os.getpid(), signal.SIGKILL)
            raise lost()

        return faulty


class FaultyHttp(HttpClient):
    """The outbound seam, in which the calls of `faults` go wrong."""

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults
        self._send = faults.around(super().send, lambda: NoAnswer("the answer was lost"))

    def send(self, request: Request) -> Response:
        """As the seam does, but for the call that is hit."""
        if self._faults.kind == "answered" and self._faults.calls + 1 == self._faults.at:
            self._faults.calls += 1
            if self._faults.answer is None:
                raise ValueError("say which answer")
            return self._faults.answer
        return self._send(request)
