"""Death by SIGKILL at a named line, in a child process that does what its parent would have done."""

import os
import signal
from collections.abc import Callable
from typing import Any


def die(*_args: Any, **_kwargs: Any) -> Any:
    """Ends this process as SIGKILL does: nothing is tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)


def after(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, and death when it is done."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        function(*args, **kwargs)
        die()

    return wrapped


def killed_at(owner: Any, name: str, replacement: Callable[..., Any], act: Callable[[], object]) -> None:
    """Does it in a child process that dies where `owner.name` stands."""
    pid = os.fork()
    if pid == 0:
        try:
            setattr(owner, name, replacement)
            act()
        finally:
            os._exit(1)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert ended == -signal.SIGKILL, f"{name} was not reached"
