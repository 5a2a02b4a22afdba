import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from machine import await_that

from service.processes import die_with_parent

SECONDS = 20
HEAD = """
import os, sys
from pathlib import Path
from service import supervising
from service.supervising import Program, Supervisor
supervising.CALM = 0.1
here = Path({here!r})
python = sys.executable

def program(name, code, **more):
    return Program(name, [python, "-S", "-c", "import os, signal, sys, time; name = %r\\n%s" % (name, code)], **more)

def said(text):
    with (here / "said").open("a") as file:
        file.write(text + "\\n")

supervisor = Supervisor({{**os.environ, "HERE": str(here)}}, logs=here)
"""
WAITS = """
def told(*_):
    open(os.environ["HERE"] + "/said", "a").write("end " + name + chr(10))
    sys.exit()
signal.signal(signal.SIGTERM, told)
open(os.environ["HERE"] + "/" + name + ".pid", "w").write(str(os.getpid()))
while True:
    time.sleep(60)
"""


@dataclass(frozen=True)
class Supervised:
    """A program that supervises others, in a process of its own."""

    process: "subprocess.Popen[bytes]"
    here: Path

    @property
    def said(self) -> list[str]:
        path = self.here / "said"
        return path.read_text().splitlines() if path.exists() else []

    def pid(self, name: str) -> int:
        """The process of the program of that name, 0 while it says none."""
        path = self.here / f"{name}.pid"
        return int(path.read_text() or 0) if path.exists() else 0

    def await_pid(self, name: str, but: int = 0) -> psutil.Process:
        await_that(lambda: self.pid(name) not in (0, but), f"{name} runs\n{self.log}", SECONDS)
        return psutil.Process(self.pid(name))

    @property
    def log(self) -> str:
        return (self.here / "log").read_text()


Start = Callable[[str], Supervised]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str) -> Supervised:
        head = HEAD.format(here=str(tmp_path)) + f"WAITS = {WAITS!r}\n"
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-c", head + code], stdout=log, stderr=log)
        started.append(process)
        return Supervised(process, tmp_path)

    yield start
    for process in started:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.wait()


TWO = """
supervisor.start(program("first", WAITS))
supervisor.start(program("second", WAITS))
supervisor.run()
said("stopping")
supervisor.stop()
said("stopped")
"""


def is_gone(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_end_in_the_opposite_order(start: Start, number: int) -> None:
    run = start(TWO)
    members = [run.await_pid("first"), run.await_pid("second")]
    run.process.send_signal(number)
    assert run.process.wait(SECONDS) == 0
    assert run.said == ["stopping", "end second", "end first", "stopped"]
    assert all(is_gone(member) for member in members)


def test_a_program_that_ends_is_started_again_and_the_others_go_on(start: Start) -> None:
    run = start(TWO)
    first, second = run.await_pid("first"), run.await_pid("second")
    for _ in range(2):
        first.kill()
        first = run.await_pid("first", but=first.pid)
    assert run.pid("second") == second.pid
    assert run.log.count("program.ended") == 2
    run.process.terminate()
    assert run.process.wait(SECONDS) == 0
    assert run.said == ["stopping", "end second", "end first", "stopped"]


def test_several_that_end_at_once_are_all_started_again(start: Start) -> None:
    run = start(TWO)
    first, second = run.await_pid("first"), run.await_pid("second")
    os.kill(run.process.pid, signal.SIGSTOP)  # so that it finds both at once: two SIGCHLD may come as one
    first.kill()
    second.kill()
    os.kill(run.process.pid, signal.SIGCONT)
    run.await_pid("first", but=first.pid)
    run.await_pid("second", but=second.pid)


def test_a_program_that_does_not_end_is_killed_with_what_it_started(start: Start) -> None:
    run = start("""
STUBBORN = '''
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    name = "below"
open(os.environ["HERE"] + "/" + name + ".pid", "w").write(str(os.getpid()))
while True:
    time.sleep(60)
'''
supervisor.start(program("stubborn", STUBBORN, patience=0.2))
supervisor.run()
supervisor.stop()
""")
    members = [run.await_pid("stubborn"), run.await_pid("below")]
    run.process.terminate()
    assert run.process.wait(SECONDS) == 0
    await_that(lambda: all(is_gone(member) for member in members), "both are gone", SECONDS)
    assert "program.killed" in run.log


def test_a_killed_supervisor_takes_its_programs_along(start: Start) -> None:
    run = start(TWO)
    members = [run.await_pid("first"), run.await_pid("second")]
    run.process.kill()
    await_that(lambda: all(is_gone(member) for member in members), "all are gone", SECONDS)
    assert sorted(run.said) == ["end first", "end second"], "told, not killed"


def test_a_terminals_ctrl_c_is_for_the_supervisor_alone(start: Start) -> None:
    run = start(TWO)
    members = [run.await_pid("first"), run.await_pid("second")]
    sessions = {os.getsid(member.pid) for member in members}
    assert len(sessions) == 2
    assert os.getsid(run.process.pid) not in sessions


def test_readiness_is_waited_for_until_it_is_there_or_can_not_be(start: Start) -> None:
    run = start("""
asked = []
supervisor.start(program("first", WAITS))
said(str(supervisor.wait_until(lambda: len(asked) > 2 or asked.append(1), "first", 20)))
said(str(supervisor.wait_until(lambda: False, "first", 0.1)))
supervisor.start(program("ends", "sys.exit(3)"))
said(str(supervisor.wait_until(lambda: False, "ends", 20)))
said("told" if supervisor.told_to_stop else "not told")
os.kill(os.getpid(), 15)
said(str(supervisor.wait_until(lambda: False, "first", 20)))
said("told" if supervisor.told_to_stop else "not told")
supervisor.run()
supervisor.stop()
""")
    assert run.process.wait(SECONDS) == 0
    assert run.said[:6] == ["True", "False", "False", "not told", "False", "told"]


def test_what_a_program_says_is_kept_in_its_own_file(start: Start) -> None:
    run = start("""
supervisor.start(program("talks", "print('hello', flush=True); print('trouble', file=sys.stderr, flush=True)" + WAITS))
said(supervisor.where_it_speaks("talks"))
supervisor.run(until=lambda: "trouble" in (here / "talks.log").read_text())
supervisor.stop()
""")
    assert run.process.wait(SECONDS) == 0
    assert (run.here / "talks.log").read_text().splitlines()[:2] == ["hello", "trouble"]
    assert run.said[0] == f"in {run.here}/talks.log"


def test_a_program_with_a_log_of_its_own_does_not_speak_among_the_others(start: Start) -> None:
    run = start("""
supervisor = Supervisor(supervisor.env)
own = here / "own.log"
talk = "print(name, 'talks', flush=True)" + WAITS
supervisor.start(Program("apart", program("apart", talk).command, log=own))
supervisor.start(program("among", talk))
said(supervisor.where_it_speaks("apart"))
said(supervisor.where_it_speaks("among"))
ready = lambda: own.exists() and "talks" in own.read_text() and "among talks" in (here / "log").read_text()
supervisor.run(until=ready)
supervisor.stop()
""")
    assert run.process.wait(SECONDS) == 0
    assert run.said[:2] == [f"in {run.here}/own.log", "above"]
    assert "apart talks" not in run.log


def test_who_lost_its_parent_before_it_could_say_so_ends_as_well() -> None:
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            die_with_parent(os.getppid() + 1)  # as if another process had forked us, and had ended since
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
