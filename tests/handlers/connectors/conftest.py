import datetime
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from nanio.app import build_app
from nanio.auth.credentials import StaticCredentialResolver
from nanio.config import Settings

from service.connectors import ConnectorTools
from service.domain.delivery import (
    Links,
    Notice,
    Publication,
    Reference,
    Scene,
    StoryFacts,
    Video,
    Withdrawal,
)
from service.outbound_http import HttpClient

NOW = datetime.datetime(2026, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)
HOSTILE = (
    "\"Quotes\" 'n' <script>alert(1)</script> & <!channel> <http://evil.test|click>\r\nBcc: eve@evil.test\n"
    "*bold* 🎬👩‍👩‍👧 שלום \u202eevil\u0000 \ud800 " + "x" * 10_000
)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost with its key, in one file, which is also its authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(built.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@dataclass
class Shelf:
    """A story for one destination, as the deliver step would hand it over, attempt after attempt."""

    video: Path
    poster: Path | None
    captions: str | None = "WEBVTT\n\n00:00.000 --> 00:02.000\nHello.\n"
    saved: dict[str, Any] = field(default_factory=dict)
    saves: int = 0
    stop_after_saves: int | None = None
    sha256: str = "ab" * 32

    def files(self) -> "Shelf.Files":
        return Shelf.Files(self)

    def save(self, reference: Reference) -> None:
        self.saved = dict(reference)
        self.saves += 1
        if self.saves == self.stop_after_saves:
            raise Killed

    def publication(self, *, repeat: int = 0, message: str = "step-1", **story: Any) -> Publication:
        facts = replace(STORY, **story)
        return Publication(
            story=facts,
            video=Video(self.sha256, self.video.stat().st_size, 15.0, 1280, 720),
            links=LINKS,
            files=self.files(),
            route="all",
            destination="team",
            key="storyrelay-1-team",
            message_id=f"{message}-{repeat}" if repeat else message,
            repeat=repeat,
            published_at=NOW,
            reference=dict(self.saved),
            save=self.save,
            check=lambda: None,
        )

    def withdrawal(self, **story: Any) -> Withdrawal:
        return Withdrawal(
            story=replace(STORY, **story),
            destination="team",
            key="storyrelay-1-team",
            message_id="withdrawal-1",
            at=NOW,
            reference=dict(self.saved),
            save=self.save,
            check=lambda: None,
        )

    @dataclass
    class Files:
        shelf: "Shelf"

        def video(self) -> AbstractContextManager[Path]:
            return nullcontext(self.shelf.video)

        def poster(self) -> AbstractContextManager[Path] | None:
            return None if self.shelf.poster is None else nullcontext(self.shelf.poster)

        def captions(self) -> str | None:
            return self.shelf.captions


class Killed(BaseException):
    """Stands for a SIGKILL right after a reference was saved."""


STORY = StoryFacts(
    id="story-1",
    title="A letter",
    idea="A lighthouse keeper finds a letter.",
    aspect_ratio="16:9",
    used_credits=150.0,
    created_at=NOW,
    revision=1,
    language="English",
    scenes=(Scene("The letter", "It came with the tide."),),
    snapshot={"id": "story-1", "status": "success", "extra": [1, {"deep": True}]},
)
LINKS = Links(
    "https://relay.test/media/v?a=1&b=2", "https://relay.test/media/p", "https://relay.test/media/c"
)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    video, poster = tmp_path / "video.mp4", tmp_path / "poster.jpg"
    video.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40)
    poster.write_bytes(b"\xff\xd8\xff\xe0" + b"poster" * 20 + b"\xff\xd9")
    return Shelf(video, poster)


@pytest.fixture
def hostile() -> str:
    return HOSTILE


@pytest.fixture
def notice() -> Notice:
    return Notice("notice-1", "delivery_dead", "Not delivered <!here>", "Why: <b>\n& more", NOW, "story-1")


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[ConnectorTools]:
    with HttpClient() as http:
        yield ConnectorTools("team", http, tmp_path, lambda: datetime.datetime.now(datetime.UTC))


@pytest.fixture
def nobody_listens() -> int:
    """A port that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def s3_options(tmp_path: Path) -> Iterator[Mapping[str, Any]]:
    """Options of an archive in a real S3 server with real signatures, bucket `shelf`."""
    (tmp_path / "s3" / "shelf").mkdir(parents=True)
    key, secret = "AKIATEST", "secret-of-the-test-server-0123456789"
    app = build_app(Settings(data_dir=tmp_path / "s3", credentials=StaticCredentialResolver({key: secret})))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield {
            "path": "s3://shelf/published",
            "endpoint": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "region": "us-east-1",
            "access_key_id": key,
            "secret_access_key": secret,
        }
        server.should_exit = True
        thread.join()
