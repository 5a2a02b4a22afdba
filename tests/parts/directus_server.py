"""A real Directus 12.4.0 with SQLite and files in a folder, on loopback."""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import free_port
from node_program import NODE_22, NodeProgram, run, serving

DIRECTUS = NodeProgram(
    "directus-12.4.0",
    {"directus": "12.4.0", "sqlite3": "5.1.7"},  # of the newest Directus, packages are missing
    built=("sqlite3", "isolated-vm"),
    node=NODE_22,
)
LIMIT = 70_000_000
"""Bytes of the largest upload."""
_ADMIN = "admin-token-0123456789"
ACTIONS = ("create", "read", "update", "delete")


@dataclass(frozen=True)
class Directus:
    """A running Directus. Its own calls are made as the administrator."""

    url: str

    def call(self, method: str, path: str, content: Any = None) -> Any:
        """What it answers, as JSON; raises HTTPError for a status that is no success."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            None if content is None else json.dumps(content).encode(),
            {"Authorization": f"Bearer {_ADMIN}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            body = answer.read()
        return json.loads(body)["data"] if body else None

    def rows(self, path: str, **equal: str) -> Any:
        """The items or files whose fields have these values."""
        query = {"limit": "-1"} | {f"filter[{name}][_eq]": value for name, value in equal.items()}
        return self.call("GET", f"{path}?{urllib.parse.urlencode(query)}")

    def bytes_of(self, file: str) -> bytes:
        """What a visitor with a login downloads."""
        request = urllib.request.Request(
            f"{self.url}/assets/{file}", headers={"Authorization": f"Bearer {_ADMIN}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            content: bytes = answer.read()
        return content

    def make_collection(self, name: str, fields: Mapping[str, Mapping[str, Any]]) -> None:
        """A collection with a numbered primary key and these fields."""
        primary = {"is_primary_key": True, "has_auto_increment": True}
        number = {"field": "id", "type": "integer", "schema": primary}
        rest = [{"field": field, **about} for field, about in fields.items()]
        self.call("POST", "/collections", {"collection": name, "schema": {}, "fields": [number, *rest]})
        for field, about in fields.items():
            if about["type"] == "uuid":
                related = {"collection": name, "field": field, "related_collection": "directus_files"}
                self.call("POST", "/relations", {**related, "schema": {"on_delete": "NO ACTION"}})

    def make_user(self, name: str, rights: Mapping[str, Sequence[str]]) -> str:
        """A user who may do these actions in these collections, and nothing else; answers the static token."""
        policy = self.call("POST", "/policies", {"name": name, "app_access": False, "admin_access": False})[
            "id"
        ]
        links = {"create": [{"policy": policy}], "update": [], "delete": []}
        role = self.call("POST", "/roles", {"name": name, "policies": links})["id"]
        permissions = [
            {"policy": policy, "collection": collection, "action": action, "fields": ["*"]}
            | {"permissions": {}, "validation": {}}
            for collection, actions in rights.items()
            for action in actions
        ]
        self.call("POST", "/permissions", permissions)
        token = f"token-of-{name}-0123456789"
        user = {"email": f"{name}@example.com", "password": "not-used-123", "role": role, "token": token}
        self.call("POST", "/users", user)
        return token


@contextmanager
def running_directus(folder: Path) -> Iterator[Directus]:
    """A fresh Directus whose data lie in the folder."""
    program, port = DIRECTUS.installed(), free_port()
    env = {
        **DIRECTUS.env(),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "DB_CLIENT": "sqlite3",
        "DB_FILENAME": str(folder / "data.db"),
        "SECRET": "0123456789abcdef0123456789abcdef",
        "ADMIN_EMAIL": "admin@example.com",
        "ADMIN_PASSWORD": "not-used-123",
        "ADMIN_TOKEN": _ADMIN,
        "STORAGE_LOCATIONS": "local",
        "STORAGE_LOCAL_ROOT": str(folder / "uploads"),
        "EXTENSIONS_PATH": str(folder / "extensions"),
        "FILES_MAX_UPLOAD_SIZE": str(LIMIT),
        "PRESSURE_LIMITER_ENABLED": "false",  # it answers 503 while the machine is busy with other tests
        "SERVE_APP": "false",
        "TELEMETRY": "false",
        "LOG_LEVEL": "warn",
    }
    for name in ("uploads", "extensions"):
        (folder / name).mkdir()
    command = ["node", "node_modules/directus/cli.js"]
    run([*command, "bootstrap"], program, env)
    url = f"http://127.0.0.1:{port}"
    with serving([*command, "start"], program, env, folder / "log", f"{url}/server/ping"):
        yield Directus(url)
