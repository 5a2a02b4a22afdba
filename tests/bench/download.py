"""A large download with SHA-256, synced to disk, against the curl command, which does neither.

Both get the same file from a process that sends it with sendfile(2); rounds are interleaved.
"""

import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from service.outbound_http import DownloadLimits, HttpClient, PartFile

MIB = 2**20


def run(rounds: int = 9, size: int = 500 * MIB) -> dict[str, float]:
    """Returns medians: `ratio` (curl's time / ours; above 1 we are faster), `synced_ratio` (against curl followed
    by sync), `megabytes_per_second`, and `memory_growth_mb` of a process that downloads."""
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder) / "source", size) as url:
        target = Path(folder) / "target"
        times = [
            (
                _timed(lambda: _curl(url, target), target),
                _timed(lambda: _curl_and_sync(url, target), target),
                _timed(lambda: _download(url, target), target),
            )
            for _ in range(rounds)
        ]
        growth = _memory_growth(url, target)
    return {
        "ratio": statistics.median(curl / ours for curl, _, ours in times),
        "synced_ratio": statistics.median(synced / ours for _, synced, ours in times),
        "megabytes_per_second": size / 1e6 / statistics.median(ours for *_, ours in times),
        "memory_growth_mb": growth,
    }


def _timed(work: Callable[[], None], target: Path) -> float:
    target.unlink(missing_ok=True)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _curl(url: str, target: Path) -> None:
    subprocess.run([_program("curl"), "-sS", "--noproxy", "*", "-o", target, url], check=True)


def _curl_and_sync(url: str, target: Path) -> None:
    _curl(url, target)
    subprocess.run([_program("sync"), target], check=True)


def _download(url: str, target: Path) -> None:
    with HttpClient() as client, PartFile(target) as part:
        client.download(url, part, DownloadLimits())


def _memory_growth(url: str, target: Path) -> float:
    """Downloads in a fresh process and returns by how many MB its largest memory grew meanwhile."""
    target.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.bench.download", url, str(target)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _program(name: str) -> str:
    found = shutil.which(name)
    if not found:
        raise FileNotFoundError(f"the program {name} is needed to compare with; install it")
    return found


@contextmanager
def _server(source: Path, size: int) -> Iterator[str]:
    with source.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        child = os.fork()
        if child == 0:
            _serve(listener, source)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/video.mp4"
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _serve(listener: socket.socket, source: Path) -> None:
    with source.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size
                )
                sent = 0
                while sent < size:
                    sent += os.sendfile(connection.fileno(), file.fileno(), sent, size - sent)


def _peak_mb() -> float:
    """The largest resident memory of this process; getrusage would count its parent's from before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    before = _peak_mb()
    _download(sys.argv[1], Path(sys.argv[2]))
    sys.stdout.write(f"{_peak_mb() - before}\n")
