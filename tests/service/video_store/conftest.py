import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from nanio.app import build_app
from nanio.auth.credentials import StaticCredentialResolver
from nanio.config import Settings

from service.video_store import ObjectStore, open_store

KEY, SECRET = "AKIATEST", "secret-of-the-test-server-0123456789"


@dataclass(frozen=True)
class S3Server:
    """A real S3 server with real signatures and one bucket, `shelf`."""

    endpoint: str
    data: Path

    def open(
        self, base: Path, *, prefix: str = "", secret: str = SECRET, bucket: str = "shelf"
    ) -> ObjectStore:
        options = {"access_key_id": KEY, "secret_access_key": secret, "region": "us-east-1"}
        return open_store(f"s3://{bucket}{prefix}?endpoint={self.endpoint}", base=base, options=options)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    data = tmp_path_factory.mktemp("s3")
    (data / "shelf").mkdir()
    app = build_app(Settings(data_dir=data, credentials=StaticCredentialResolver({KEY: SECRET})))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield S3Server(f"http://127.0.0.1:{listener.getsockname()[1]}", data)
        server.should_exit = True
        thread.join()


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return open_store("kept", base=tmp_path)
    server: S3Server = request.getfixturevalue("s3")
    return server.open(tmp_path, prefix=f"/{tmp_path.name}")


@pytest.fixture
def sparse(tmp_path: Path) -> Callable[[int], Path]:
    """A file of that many bytes that costs no room."""

    def make(size: int) -> Path:
        path = tmp_path / f"{size}.bin"
        with path.open("wb") as file:
            file.truncate(size)
            file.write(b"start")
            file.seek(-3, 2)
            file.write(b"end")
        return path

    return make
