"""Programs of Node.js, installed once into a folder outside the tree and run from there."""

import fcntl
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from machine import await_that

PROGRAMS = Path(os.environ.get("STORYRELAY_PLACES", Path.home() / ".cache" / "storyrelay-places"))
INSTALL_SECONDS = 1200
START_SECONDS = 90
NODE_22 = "node22"


@dataclass(frozen=True)
class NodeProgram:
    """`packages` with their versions; `built` are those that are compiled; `node`: another than the machine's."""

    name: str
    packages: Mapping[str, str]
    built: Sequence[str] = ()
    node: str | None = None
    scripts: bool = False
    """Whether its packages' own install scripts are run."""

    def installed(self) -> Path:
        """The folder with its node_modules; the first time this takes minutes."""
        folder = PROGRAMS / self.name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / ".installed").exists():
                self._install(folder)
                (folder / ".installed").touch()
        return folder

    def env(self) -> dict[str, str]:
        """With the right node before all others, and its headers for what is compiled."""
        if self.node is None:
            return dict(os.environ)
        node = PROGRAMS / self.node / "node_modules" / "node"
        headers = next((node / "node_modules").glob("node-linux-*"), node)
        path = f"{node / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "npm_config_nodedir": str(headers)}

    def _install(self, folder: Path) -> None:
        if self.node is not None:
            NodeProgram(self.node, {"node": "22"}, scripts=True).installed()
        run(["npm", "init", "-y"], folder, self.env())
        wanted = [f"{name}@{version}" for name, version in self.packages.items()]
        scripts = [] if self.scripts else ["--ignore-scripts"]
        run(
            ["npm", "install", "--omit=dev", "--no-audit", "--no-fund", *scripts, *wanted], folder, self.env()
        )
        if self.built:
            run(["npm", "rebuild", *self.built], folder, self.env())


def run(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
    """Runs a program to its end, and shows what it said when it fails."""
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=INSTALL_SECONDS
    )
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


@contextmanager
def serving(
    command: Sequence[str], folder: Path, env: Mapping[str, str], log: Path, url: str
) -> Iterator[None]:
    """Runs a server until `url` answers, then until the end of the block."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=said, stderr=said, start_new_session=True
        )
    try:
        await_that(lambda: _answers(url, process, log), f"{url} answers", START_SECONDS)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def _answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert process.poll() is None, log.read_text(errors="replace")[-5000:]
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status < 400)
    except OSError:
        return False
