"""A real Strapi 5.54.0 with SQLite and files in a folder, on loopback, without its administration's pages."""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import free_port
from node_program import NodeProgram, serving

STRAPI = NodeProgram(
    "strapi-5.54.0",
    {  # of the newest Strapi, packages are missing
        "@strapi/strapi": "5.54.0",
        "@strapi/plugin-users-permissions": "5.54.0",
        "better-sqlite3": "12.8.0",
        "react": "^18",
        "react-dom": "^18",
        "react-router-dom": "^6",
        "styled-components": "^6",
    },
    built=("better-sqlite3",),
)
LIMIT = 70_000_000
"""Bytes of the largest upload."""
UPLOADS = tuple(f"plugin::upload.content-api.{action}" for action in ("upload", "find", "destroy"))
STORIES, NOTES = (
    tuple(f"api::{name}.{name}.{action}" for action in ("find", "create", "update", "delete"))
    for name in ("story", "note")
)

_SERVER = "require('@strapi/strapi').createStrapi({appDir: __dirname, distDir: __dirname}).start();\n"
_CONFIG = {
    "server": """module.exports = ({env}) => ({
  host: '127.0.0.1', port: env.int('PORT'), app: {keys: ['one', 'two']}, logger: {updates: {enabled: false}},
});
""",
    "admin": """module.exports = () => ({
  serveAdminPanel: false, watchIgnoreFiles: [], auth: {secret: 'admin-secret'},
  apiToken: {salt: 'token-salt', secrets: {encryptionKey: '0123456789abcdef0123456789abcdef'}},
  transfer: {token: {salt: 'transfer-salt'}}, flags: {nps: false, promoteEE: false},
});
""",
    "database": """module.exports = () => ({
  connection: {client: 'sqlite', connection: {filename: '.tmp/data.db'}, useNullAsDefault: true},
});
""",
    "plugins": """module.exports = ({env}) => ({
  'users-permissions': {config: {jwtSecret: 'jwt-secret'}},
  upload: {config: {sizeLimit: env.int('LIMIT')}},
});
""",
    "middlewares": """module.exports = ({env}) => [
  'strapi::logger', 'strapi::errors', 'strapi::security', 'strapi::cors', 'strapi::poweredBy', 'strapi::query',
  {name: 'strapi::body', config: {formidable: {maxFileSize: env.int('LIMIT')}}},
  'strapi::session', 'strapi::favicon', 'strapi::public',
];
""",
}
_BOOTSTRAP = """const fs = require('fs');
module.exports = {
  register() {},
  async bootstrap({strapi}) {
    const tokens = {};
    for (const [name, permissions] of Object.entries(JSON.parse(process.env.TOKENS))) {
      const type = permissions.length ? 'custom' : 'full-access';
      const about = {name, description: name, lifespan: null, type};
      const made = await strapi.service('admin::api-token').create(type === 'custom' ? {...about, permissions} : about);
      tokens[name] = made.accessKey;
    }
    fs.writeFileSync('tokens.json', JSON.stringify(tokens));
  },
};
"""


@dataclass(frozen=True)
class Strapi:
    """A running Strapi. Its own calls are made with a token that may do everything. `tokens` are by name."""

    url: str
    folder: Path
    tokens: Mapping[str, str]

    def call(self, method: str, path: str, content: Any = None) -> Any:
        """What it answers, as JSON; raises HTTPError for a status that is no success."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            None if content is None else json.dumps(content).encode(),
            {"Authorization": f"Bearer {self.tokens['everything']}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def entries(self, path: str, status: str, **equal: str) -> Any:
        """The entries of that status whose fields have these values."""
        query = {f"filters[{name}][$eq]": value for name, value in equal.items()}
        query |= {"status": status, "populate": "*", "sort": "id"}
        return self.call("GET", f"{path}?{urllib.parse.urlencode(query)}")["data"]

    def files(self, **equal: str) -> Any:
        """The files of the media library with these values."""
        query = {f"filters[{name}][$eq]": value for name, value in equal.items()}
        return self.call("GET", f"/api/upload/files?{urllib.parse.urlencode(query)}")

    def bytes_of(self, address: str) -> bytes:
        """What a visitor downloads."""
        with urllib.request.urlopen(f"{self.url}{address}", timeout=60) as answer:
            content: bytes = answer.read()
        return content


@contextmanager
def running_strapi(
    folder: Path, attributes: Mapping[str, Any], tokens: Mapping[str, Sequence[str]]
) -> Iterator[Strapi]:
    """A fresh Strapi with the collections `stories` and, without drafts, `notes`, both with these attributes.

    Each token has its permissions, none means all.
    """
    program, port = STRAPI.installed(), free_port()
    _write(folder)
    _write_type(folder, "story", "stories", attributes, drafts=True)
    _write_type(folder, "note", "notes", attributes, drafts=False)
    (folder / "node_modules").symlink_to(program / "node_modules")
    env = {
        **STRAPI.env(),
        "NODE_ENV": "production",
        "PORT": str(port),
        "LIMIT": str(LIMIT),
        "TOKENS": json.dumps({**tokens, "everything": []}),
        "STRAPI_TELEMETRY_DISABLED": "true",
    }
    url = f"http://127.0.0.1:{port}"
    with serving(["node", "server.js"], folder, env, folder / "log", f"{url}/_health"):
        yield Strapi(url, folder, json.loads((folder / "tokens.json").read_text()))


def _write(folder: Path) -> None:
    for each in ("config", "src", "public/uploads", ".tmp", "database/migrations"):
        (folder / each).mkdir(parents=True)
    for name, text in _CONFIG.items():
        (folder / "config" / f"{name}.js").write_text(text)
    (folder / "src" / "index.js").write_text(_BOOTSTRAP)
    (folder / "server.js").write_text(_SERVER)
    (folder / "package.json").write_text(json.dumps({"name": "place", "version": "0.0.0", "private": True}))


def _write_type(folder: Path, name: str, plural: str, attributes: Mapping[str, Any], *, drafts: bool) -> None:
    api = folder / "src" / "api" / name
    parts = {
        "controllers": "createCoreController",
        "services": "createCoreService",
        "routes": "createCoreRouter",
    }
    for part, factory in parts.items():
        (api / part).mkdir(parents=True)
        code = f"module.exports = require('@strapi/strapi').factories.{factory}('api::{name}.{name}');\n"
        (api / part / f"{name}.js").write_text(code)
    schema = {
        "kind": "collectionType",
        "collectionName": plural,
        "info": {"singularName": name, "pluralName": plural, "displayName": name.title()},
        "options": {"draftAndPublish": drafts},
        "attributes": attributes,
    }
    (api / "content-types" / name).mkdir(parents=True)
    (api / "content-types" / name / "schema.json").write_text(json.dumps(schema))
