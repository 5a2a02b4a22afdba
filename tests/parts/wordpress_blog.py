"""A WordPress site as a place under test."""

import datetime
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from wordpress_server import NotHere, Site, wordpress_site

from handlers.connectors.wordpress import WordPressConnector, WordPressOptions
from service.connector_contract import Faults, FaultyHttp, Seen, Story
from service.connectors import Connector, ConnectorTools
from service.outbound_http import HttpClient


@contextmanager
def wordpress_or_skip(folder: Path) -> Iterator[Site]:
    """A running site."""
    with skipped_where_missing(), wordpress_site(folder) as running:
        yield running


@contextmanager
def skipped_where_missing() -> Iterator[None]:
    """Without a server the tests are skipped, but for CI, where that is a failure."""
    try:
        yield
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
        """By the way to the site itself, whatever stands before it."""
        shown = post["content"]["rendered"].partition("<video controls")[2].partition('src="')[2]
        path = unescape(shown.partition('"')[0]).partition("/wp-content/")[2]
        return sha256(self.site.page(f"{self.site.url}/wp-content/{path}")).hexdigest() if path else None

    def kinds(self, story: Story) -> list[str]:
        """Of the story's files in the media library."""
        return sorted(slug.split("-")[-2] for slug in self.media(story.key))
