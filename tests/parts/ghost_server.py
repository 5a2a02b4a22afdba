"""A real Ghost on loopback with its own SQLite file, and a stand-in for the mail service that it sends through.

Ghost 6, or the version that STORYRELAY_GHOST names: 5.130.6 is known to work, on Node 20.
"""

import fcntl
import json
import os
import shutil
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from machine import free_port
from node_program import NODE_22, PROGRAMS, NodeProgram, run, serving

VERSION = os.environ.get("STORYRELAY_GHOST", "6.65.0")
IS_5 = VERSION.startswith("5.")
DATABASE = "sqlite3" if IS_5 else "better-sqlite3"
EMAIL, PASSWORD = "owner@example.test", "correct-horse-9x"
_NODE = NodeProgram(f"ghost-{VERSION}", {}, node=None if IS_5 else NODE_22)


@dataclass(frozen=True)
class Ghost:
    """A running Ghost: its address, its database, the admin key of an integration, and the mails it sent."""

    url: str
    database: Path
    admin_key: str
    mails: "MailService"
    _owner: urllib.request.OpenerDirector = field(repr=False)

    def call(self, method: str, path: str, content: Any = None) -> Any:
        """What the Admin API answers to the site's owner."""
        return _call(self._owner, self.url, method, path, content)

    def posts(self, like: str) -> list[dict[str, Any]]:
        """The rows of posts whose slug contains this, oldest first, read past the API."""
        with closing(sqlite3.connect(self.database)) as database:
            database.row_factory = sqlite3.Row
            found = database.execute(
                "SELECT * FROM posts WHERE slug LIKE ? ORDER BY created_at, id", (f"%{like}%",)
            )
            return [dict(row) for row in found]

    def emails(self, post: str) -> int:
        """How many newsletters Ghost has made of a post."""
        with closing(sqlite3.connect(self.database)) as database:
            count: int = database.execute(
                "SELECT count(*) FROM emails WHERE post_id = ?", (post,)
            ).fetchone()[0]
        return count

    def owner_key(self) -> str:
        """The admin key of the owner's own account."""
        me = self.call("GET", "/users/me/?include=roles")["users"][0]
        return _key(self.call("GET", f"/users/{me['id']}/token/")["apiKey"])

    def age(self, post: str) -> None:
        """Has a post be made an hour ago: Ghost's times are whole seconds, too coarse for a test."""
        with closing(sqlite3.connect(self.database, timeout=30)) as database, database:
            database.execute(
                "UPDATE posts SET created_at = datetime(created_at, '-1 hour') WHERE id = ?", (post,)
            )


@dataclass
class MailService:
    """Takes what Ghost gives to Mailgun: the subject of each message, and to how many addresses it goes."""

    url: str
    messages: list[bytes] = field(default_factory=list)


@contextmanager
def running_ghost(folder: Path, under: str = "") -> Iterator[Ghost]:
    """Starts a Ghost whose files are below `folder`; the first time it is installed, which takes minutes.

    `under` is a path such as /blog, for a site that does not begin at the root.
    """
    program = _installed()
    shutil.copytree(program / "content", folder / "content", symlinks=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}{under}"
    database = folder / "ghost.sqlite3"
    with _mail_service() as mails:
        env = {**_NODE.env(), **_settings(url, port, folder, database, mails.url)}
        ready = f"{url}/ghost/api/admin/site/"
        with serving(["node", "index.js"], program, env, folder / "ghost.log", ready):
            owner = _set_up(url)
            yield Ghost(url, database, _integration(owner, url, "Storyrelay"), mails, owner)


def _installed() -> Path:
    """The package as published, with its own folder of dependencies: as a dependency its bundled parts are lost."""
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    folder = PROGRAMS / f"ghost-{VERSION}"
    with (PROGRAMS / "ghost.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".installed").exists():
            _install(folder)
            (folder / ".installed").touch()
    return folder


def _install(folder: Path) -> None:
    if _NODE.node is not None:
        NodeProgram(_NODE.node, {"node": "22"}, scripts=True).installed()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    env = _NODE.env()
    run(["npm", "pack", "-s", f"ghost@{VERSION}"], folder, env)
    run(["tar", "xf", f"ghost-{VERSION}.tgz", "--strip-components=1"], folder, env)
    run(["npm", "pkg", "delete", "devDependencies"], folder, env)
    run(["npm", "install", "--omit=dev", "--legacy-peer-deps", "--ignore-scripts", "--no-audit"], folder, env)
    run(["npm", "rebuild", DATABASE], folder, env)


def _settings(url: str, port: int, folder: Path, database: Path, mail_url: str) -> Mapping[str, str]:
    return {
        "NODE_ENV": "production",
        "url": url,
        "server__host": "127.0.0.1",
        "server__port": str(port),
        "database__client": DATABASE,
        "database__connection__filename": str(database),
        "database__useNullAsDefault": "true",
        "paths__contentPath": str(folder / "content"),
        "logging__transports": '["stdout"]',
        "mail__transport": "stub",
        "security__staffDeviceVerification": "false",
        "privacy__useUpdateCheck": "false",
        "privacy__useGravatar": "false",
        "bulkEmail__mailgun__apiKey": "key",
        "bulkEmail__mailgun__domain": "mail.example.test",
        "bulkEmail__mailgun__baseUrl": mail_url,
    }


def _set_up(url: str) -> urllib.request.OpenerDirector:
    owner = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    account = {"name": "Owner", "email": EMAIL, "password": PASSWORD, "blogTitle": "Letters"}
    _call(owner, url, "POST", "/authentication/setup/", {"setup": [account]})
    _call(owner, url, "POST", "/session/", {"username": EMAIL, "password": PASSWORD})
    return owner


def _integration(owner: urllib.request.OpenerDirector, url: str, name: str) -> str:
    asked = {"integrations": [{"name": name}]}
    made = _call(owner, url, "POST", "/integrations/?include=api_keys", asked)["integrations"][0]
    return _key(next(key for key in made["api_keys"] if key["type"] == "admin"))


def _key(made: Mapping[str, str]) -> str:
    return made["secret"] if ":" in made["secret"] else f"{made['id']}:{made['secret']}"


def _call(opener: urllib.request.OpenerDirector, url: str, method: str, path: str, content: Any) -> Any:
    request = urllib.request.Request(
        f"{url}/ghost/api/admin{path}",
        None if content is None else json.dumps(content).encode(),
        {"Origin": url.removesuffix("/blog"), "Content-Type": "application/json"},
        method=method,
    )
    try:
        with opener.open(request, timeout=60) as answer:
            said = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(
            f"{method} {path}: {error.code} {error.read().decode(errors='replace')}"
        ) from error
    return json.loads(said) if said[:1] == b"{" else said


@contextmanager
def _mail_service() -> Iterator[MailService]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.endswith("/messages"):
                service.messages.append(body)
            self._say({"id": f"<{len(service.messages)}@mail.example.test>", "message": "Queued."})

        def do_GET(self) -> None:
            self._say({"items": [], "paging": {}})

        def _say(self, content: Any) -> None:
            data = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service = MailService(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
