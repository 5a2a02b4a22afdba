"""A real gunicorn with the service's own settings, without anything else around it."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from machine import await_that, free_port
from relayed import KEY

from service.ledger.migrating import migrate
from service.wiring import Relay, open_relay

PUBLIC = "https://relay.example"


@dataclass(frozen=True)
class WebServer:
    """Its address, a relay on the same ledger, and where its processes write their log."""

    port: int
    relay: Relay
    log_file: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def webhook_path(self, submission: str) -> str:
        return self.relay.webhook_urls.for_submission(submission).removeprefix(PUBLIC)

    def media_path(self, key: str, name: str = "video.mp4") -> str:
        return self.relay.media_urls.url(key, name, 60).removeprefix(PUBLIC)


@contextmanager
def running_web(home: Path, config: str = "service.web.serving", **more: str) -> Iterator[WebServer]:
    """Serves `home`, with nothing listening where the queue should be, unless `more` says otherwise."""
    port = free_port()
    env = {
        "STORYRELAY_HOME": str(home),
        "DATABASE_URL": f"sqlite:///{home}/ledger.sqlite3",
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}",
        "SECRET_KEYS": KEY,
        "PUBLIC_URL": PUBLIC,
        **more,
    }
    relay = open_relay(env)
    migrate(relay.ledger)
    own = {name: value for name, value in os.environ.items() if not name.startswith("STORYRELAY_")}
    own["PYTHONPATH"] = str(Path(__file__).parent)  # where the tests' own configurations lie
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        f"python:{config}",
        "--bind",
        f"127.0.0.1:{port}",
    ]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, env={**own, **env}, stdout=log, stderr=log)
    server = WebServer(port, relay, home / "log")
    try:
        await_that(lambda: _is_alive(server, process), "the web server answers", 30)
        yield server
    finally:
        process.terminate()
        process.wait(40)
        relay.ledger.close()


def _is_alive(server: WebServer, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, server.log
    try:
        with urllib.request.urlopen(f"{server.url}/healthz", timeout=5) as answer:
            return bool(json.load(answer) == {"status": "ok"})
    except URLError:
        return False
