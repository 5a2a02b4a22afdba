from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from strapi_server import STORIES, UPLOADS, Strapi, running_strapi

from handlers.connectors.strapi import StrapiConnector, StrapiOptions
from service.connector_contract import ConnectorContract, Faults, FaultyHttp, Seen
from service.connectors import ConnectorTools

ATTRIBUTES = {
    "relay_key": {"type": "string", "unique": True},
    "title": {"type": "text"},
    "body": {"type": "richtext"},
    "seconds": {"type": "decimal"},
    "video": {"type": "media", "multiple": False, "allowedTypes": ["videos"]},
    "poster": {"type": "media", "multiple": False, "allowedTypes": ["images"]},
}
FIELDS = {
    "title": "{{ story.title }}",
    "body": "{{ story.idea }}\n<video src='{{ media.video_url }}'>",
    "video": "{{ media.video }}",
    "poster": "{{ media.poster }}",
    "seconds": "{{ video.seconds }}",
}
NEEDED = (*STORIES, *UPLOADS)


@dataclass(frozen=True)
class StrapiPlace:
    strapi: Strapi
    folder: Path
    status: str

    def connector(self, faults: Faults, **options: Any) -> StrapiConnector:
        usual = {"collection": "stories", "key_field": "relay_key", "fields": FIELDS, "status": self.status}
        chosen = {"url": self.strapi.url, "token": self.strapi.tokens["relay"], **usual, **options}
        tools = ConnectorTools("place", FaultyHttp(faults), self.folder, lambda: datetime.now(UTC))
        return StrapiConnector(StrapiOptions.model_validate(chosen), tools)

    def seen(self, key: str) -> Sequence[Seen]:
        return [
            Seen(entry["title"], entry["video"] and self._sha256(entry["video"]["url"]))
            for entry in self.entries(key)
        ]

    def entries(self, key: str) -> Any:
        return self.strapi.entries("/api/stories", self.status, relay_key=key)

    def files(self, key: str) -> list[str]:
        return [row["name"] for row in self.strapi.files() if row["name"].startswith(key)]

    def _sha256(self, address: str) -> str:
        return sha256(self.strapi.bytes_of(address)).hexdigest()


@pytest.fixture(scope="module")
def strapi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strapi]:
    tokens = {"relay": NEEDED, **{right: [one for one in NEEDED if one != right] for right in NEEDED}}
    with running_strapi(tmp_path_factory.mktemp("strapi"), ATTRIBUTES, tokens) as server:
        yield server


@pytest.fixture(params=["draft", "published"])
def place(strapi: Strapi, tmp_path: Path, request: pytest.FixtureRequest) -> StrapiPlace:
    return StrapiPlace(strapi, tmp_path, request.param)


class TestStrapi(ConnectorContract):
    pass
