"""A network on loopback that damages what passes it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

GOOD, BAD = b"as it was sent", b"as it came out"


@contextmanager
def damaging_proxy(endpoint: str) -> Iterator[str]:
    """Passes on to the endpoint whatever comes, each GOOD as BAD; answers are left alone. Gives its own address."""
    target = urlsplit(endpoint)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, (target.hostname, target.port)))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listener: socket.socket, target: tuple[str | None, int | None]) -> None:
    open_sockets: list[socket.socket] = []
    pumps: list[threading.Thread] = []
    with suppress(OSError):
        while True:
            near, _ = listener.accept()
            far = socket.create_connection(target)  # type: ignore[arg-type]
            open_sockets += [near, far]
            pumps += [
                threading.Thread(target=_pump, args=(near, far, GOOD, BAD)),
                threading.Thread(target=_pump, args=(far, near, b"", b"")),
            ]
            for pump in pumps[-2:]:
                pump.start()
    for one in open_sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
    for pump in pumps:
        pump.join()
    for one in open_sockets:
        one.close()


def _pump(source: socket.socket, sink: socket.socket, good: bytes, bad: bytes) -> None:
    """What the network cuts in two stays as it is: send many of GOOD."""
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data.replace(good, bad) if good else data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
