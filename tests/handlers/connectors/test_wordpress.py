import datetime
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from wordpress_server import NotHere, Site, wordpress_site

from handlers.connectors.wordpress import WordPressConnector, WordPressOptions
from service.connector_contract import ConnectorContract, Faults, FaultyHttp, Place, Seen
from service.connectors import Connector, ConnectorTools
from service.outbound_http import HttpClient


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    try:
        with wordpress_site(tmp_path_factory.mktemp("wordpress")) as running:
            yield running
    except NotHere as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no WordPress here: {missing}")


def tools(http: HttpClient, folder: Path) -> ConnectorTools:
    return ConnectorTools("blog", http, folder, lambda: datetime.datetime.now(datetime.UTC))


def options(site: Site, user: str = "author", **more: Any) -> WordPressOptions:
    login = {"url": site.url, "username": user, "application_password": site.passwords.get(user, "wrong")}
    return WordPressOptions(**{**login, **more})


@dataclass(frozen=True)
class Blog:
    site: Site
    folder: Path
    options: WordPressOptions

    def connector(self, faults: Faults) -> Connector:
        return WordPressConnector(self.options, tools(FaultyHttp(faults), self.folder))

    def posts(self, key: str) -> list[Any]:
        listed = self.site.call("posts?status=any&context=edit&per_page=100&orderby=id&order=asc")
        return [post for post in listed if post["slug"].startswith(key)]

    def media(self, key: str) -> dict[str, Any]:
        listed = self.site.call("media?per_page=100")
        return {one["slug"]: one for one in listed if one["slug"].startswith(key)}

    def seen(self, key: str) -> Sequence[Seen]:
        return [Seen(unescape(post["title"]["raw"]), self.video(post)) for post in self.posts(key)]

    def video(self, post: Any) -> str | None:
        shown = post["content"]["rendered"].partition("<video controls")[2].partition('src="')[2]
        address = unescape(shown.partition('"')[0])
        return sha256(self.site.page(address)).hexdigest() if address else None


class TestWordPress(ConnectorContract):
    @pytest.fixture
    def place(self, site: Site, tmp_path: Path) -> Place:
        return Blog(site, tmp_path, options(site))
