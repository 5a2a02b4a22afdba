from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from directus_server import ACTIONS, Directus, running_directus

from handlers.connectors.directus import DirectusConnector, DirectusOptions
from service.connector_contract import ConnectorContract, Faults, FaultyHttp, Seen
from service.connectors import ConnectorTools

TEXT = {"type": "text"}
FILE = {"type": "uuid", "meta": {"special": ["file"]}}
COLLECTION = {
    "relay_key": {"type": "string", "schema": {"is_unique": True}},
    "status": {"type": "string"},
    "title": TEXT,
    "body": TEXT,
    "video": FILE,
    "poster": FILE,
    "seconds": {"type": "float"},
}
FIELDS = {
    "title": "{{ story.title }}",
    "body": "{{ story.idea }}\n<video src='{{ media.video_url }}'>",
    "video": "{{ media.video }}",
    "poster": "{{ media.poster }}",
    "seconds": "{{ video.seconds }}",
}
ALL = {"stories": ACTIONS, "directus_files": ACTIONS}


@dataclass(frozen=True)
class DirectusPlace:
    directus: Directus
    token: str
    folder: Path

    def connector(self, faults: Faults, **options: Any) -> DirectusConnector:
        usual = {"collection": "stories", "key_field": "relay_key", "fields": FIELDS, "status": "draft"}
        chosen = {"url": self.directus.url, "token": self.token, **usual, **options}
        tools = ConnectorTools("place", FaultyHttp(faults), self.folder, lambda: datetime.now(UTC))
        return DirectusConnector(DirectusOptions.model_validate(chosen), tools)

    def seen(self, key: str) -> Sequence[Seen]:
        return [
            Seen(row["title"], row["video"] and sha256(self.directus.bytes_of(row["video"])).hexdigest())
            for row in self.rows(key)
        ]

    def rows(self, key: str) -> Any:
        return self.directus.rows("/items/stories", relay_key=key)

    def files(self, key: str) -> list[str]:
        return [
            row["id"]
            for ending in ("mp4", "jpg")
            for row in self.directus.rows("/files", filename_download=f"{key}.{ending}")
        ]


@pytest.fixture(scope="module")
def directus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directus]:
    with running_directus(tmp_path_factory.mktemp("directus")) as server:
        server.make_collection("stories", COLLECTION)
        yield server


@pytest.fixture(scope="module")
def token(directus: Directus) -> str:
    return directus.make_user("relay", ALL)


@pytest.fixture
def place(directus: Directus, token: str, tmp_path: Path) -> DirectusPlace:
    return DirectusPlace(directus, token, tmp_path)


class TestDirectus(ConnectorContract):
    pass
