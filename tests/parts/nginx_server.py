"""A real nginx with TLS before another server, on loopback."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wordpress_server import NotHere

START_SECONDS = 20


def self_signed(folder: Path) -> Path:
    """A certificate for localhost with its key, in one file, which is also its authority."""
    key, certificate, both = (folder / name for name in ("key.pem", "certificate.pem", "both.pem"))
    _run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        *("-keyout", str(key), "-out", str(certificate)),
    )
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both


@contextmanager
def nginx(folder: Path, port: int, certificate: Path, onward: str, extra: str = "") -> Iterator[None]:
    """Serves https://localhost:`port` from the server at `onward`; `extra` stands in the location."""
    folder.mkdir()
    config = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(
        _CONFIG.format(user=user, port=port, certificate=certificate, onward=onward, extra=extra)
    )
    command = [_program() or "nginx", "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
    server = subprocess.Popen(command, start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            assert server.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.02)
        yield
    finally:
        server.terminate()  # it ends and reaps its workers itself
        server.wait(START_SECONDS)


def need_nginx() -> None:
    """Installs it where it is missing and that may be. Raises NotHere."""
    if _program() is not None:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NotHere("needs nginx: apt-get install nginx-light")
    _run("apt-get", "install", "-qq", "-y", "--no-install-recommends", "nginx-light")


def _program() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise NotHere(f"{' '.join(command[:2])} failed: {done.stderr[-300:]}")


_CONFIG = """{user}
daemon off; worker_processes 1; pid nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        client_max_body_size 100m;
        location / {{
            proxy_pass {onward};
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Proto https;
            {extra}
        }}
    }}
}}
"""
