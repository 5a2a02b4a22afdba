import json
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from ghost_server import Ghost, running_ghost

from handlers.connectors.ghost import GhostConnector, GhostOptions
from service.connector_contract import ConnectorContract, Faults, FaultyHttp, Seen
from service.connectors import ConnectorTools


@dataclass(frozen=True)
class GhostPlace:
    ghost: Ghost
    folder: Path

    def connector(self, faults: Faults | None = None, **options: Any) -> GhostConnector:
        chosen = {"url": self.ghost.url, "admin_key": self.ghost.admin_key, **options}
        tools = ConnectorTools(
            "place", FaultyHttp(faults or Faults()), self.folder, lambda: datetime.now(UTC)
        )
        return GhostConnector(GhostOptions.model_validate(chosen), tools)

    def seen(self, key: str) -> Sequence[Seen]:
        return [Seen(post["title"], self._video(post)) for post in self.posts(key)]

    def posts(self, key: str) -> list[dict[str, Any]]:
        return self.ghost.posts(sha256(key.encode()).hexdigest()[:12])

    def _video(self, post: dict[str, Any]) -> str | None:
        nodes = json.loads(post["lexical"])["root"]["children"]
        videos = [node["src"] for node in nodes if node["type"] == "video"]
        if not videos:
            return None
        url = videos[0].replace("__GHOST_URL__", self.ghost.url)
        with urllib.request.urlopen(url, timeout=60) as answer:
            return sha256(answer.read()).hexdigest()


@pytest.fixture(scope="module")
def ghost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ghost]:
    with running_ghost(tmp_path_factory.mktemp("ghost")) as server:
        yield server


@pytest.fixture
def place(ghost: Ghost, tmp_path: Path) -> GhostPlace:
    return GhostPlace(ghost, tmp_path)


class TestGhost(ConnectorContract):
    """Against the real one."""
