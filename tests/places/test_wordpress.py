"""WordPress as it stands at many hosts: behind nginx with TLS, in a folder, with plain permalinks."""

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from nginx_server import need_nginx, nginx, self_signed
from wordpress_blog import Blog, options, skipped_where_missing, wordpress_or_skip
from wordpress_server import Site

from service.connector_contract import ConnectorContract, Faults, Place, Story, new_story
from service.domain.delivery import DeliveryFailed

Front = Callable[..., AbstractContextManager[str]]
PADDING = 30_000_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with wordpress_or_skip(tmp_path_factory.mktemp("wordpress")) as running:
        yield running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def front(site: Site, certificate: Path) -> Front:
    """Serves the site behind nginx; gives its address."""
    with skipped_where_missing():
        need_nginx()

    @contextmanager
    def serve(extra: str = "", under: str = "", scheme: str = "https", **env: str) -> Iterator[str]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        address = f"://localhost:{port}{under}"
        # as in production, where application passwords are for https only
        with site.served(
            {"WP_URL": f"{scheme}{address}", "WP_ENV": "production", **env}, under=under
        ) as inner:
            onward = f"http://127.0.0.1:{urlsplit(inner).port}"
            with nginx(site.folder / f"nginx-{port}", port, certificate, onward, extra):
                yield f"https{address}"

    return serve


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return new_story(tmp_path)


@pytest.fixture(scope="module")
def url(front: Front) -> Iterator[str]:
    with front(under="/blog", WP_PLAIN="1") as url:
        yield url


class TestBehindNginx(ConnectorContract):
    @pytest.fixture
    def place(self, site: Site, url: str, certificate: Path, tmp_path: Path) -> Place:
        return Blog(site, tmp_path, options(site, url=url, ca_file=certificate))


def blog(site: Site, story: Story, **chosen: Any) -> Blog:
    return Blog(site, story.folder, options(site, **chosen))


def refusal(act: Callable[[], object]) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as failed:
        act()
    return failed.value


def test_an_unknown_certificate_is_not_sent_to(front: Front, site: Site, story: Story) -> None:
    with front() as url:
        connector = blog(site, story, url=url).connector(Faults())
        assert "certificate" in str(refusal(partial(connector.publish, story.publication())))


def test_a_header_that_the_proxy_drops_is_one_of_three_causes(
    front: Front, site: Site, certificate: Path, story: Story
) -> None:
    with front('proxy_set_header Authorization "";') as url:
        connector = blog(site, story, url=url, ca_file=certificate).connector(Faults())
        for act in (connector.check, partial(connector.publish, story.publication())):
            failed = refusal(act)
            assert failed.refused
            for cause in ("username", "application password", "Authorization", "proxy_set_header"):
                assert cause in str(failed)


def test_a_video_too_large_for_nginx_is_linked(
    front: Front, site: Site, certificate: Path, story: Story
) -> None:
    """Which says so, in HTML, before the video is sent, and ends the connection."""
    with story.video.open("ab") as file:
        file.write(PADDING.to_bytes(4, "big") + b"free" + b"\0" * (PADDING - 8))
    with front("client_max_body_size 1m;") as url:
        place = blog(site, story, url=url, ca_file=certificate)
        published = place.connector(Faults()).publish(story.publication())
    assert "413" in published.remark
    assert "linked, for 30 days" in published.remark
    assert place.kinds(story) == ["captions", "poster"]


def test_a_site_that_takes_itself_for_http_is_called_by_https(
    front: Front, site: Site, certificate: Path, story: Story
) -> None:
    """WordPress behind a proxy may name http addresses, also for its API: the password never goes there."""
    with front(scheme="http") as url:
        place = blog(site, story, url=url, ca_file=certificate)
        place.connector(Faults()).publish(story.publication())
    assert [seen.title for seen in place.seen(story.key)] == ["A letter"]
