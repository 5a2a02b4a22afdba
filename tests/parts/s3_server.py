"""A real S3 server with real signatures, on loopback."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from nanio.app import build_app
from nanio.auth.credentials import StaticCredentialResolver
from nanio.config import Settings

KEY, SECRET = "AKIATEST", "secret-of-the-test-server-0123456789"


@contextmanager
def s3_server(data: Path) -> Iterator[str]:
    """Serves the folders of `data` as buckets; gives the endpoint's address."""
    app = build_app(Settings(data_dir=data, credentials=StaticCredentialResolver({KEY: SECRET})))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()
