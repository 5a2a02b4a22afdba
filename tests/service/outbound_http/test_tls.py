"""Certificates are checked, against the bundle that the environment names."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service.outbound_http import HttpClient, NotSent, Request, transfer


def certificate(folder: Path, address: str, days: int) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    kind = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)


def secure_site(make_site: Callable[..., Any], pem: Path) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return make_site(wrap=lambda plain: context.wrap_socket(plain, server_side=True))


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CURL_CA_BUNDLE"])
def test_a_known_authority(
    make_site: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    pem = certificate(tmp_path, "127.0.0.1", 10)
    site = secure_site(make_site, pem)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(variable, str(pem))
    client = HttpClient()
    assert client.send(Request("POST", site.on("/x", b"safe"), body=b"b")).body == b"safe"
    assert client.send(Request("GET", site.url + "/x")).body == b"safe"


def test_an_authority_of_one_call_alone(make_site: Callable[..., Any], tmp_path: Path) -> None:
    """A call with a `ca_file` trusts it, the next one without does not, though the connection was kept."""
    site = secure_site(make_site, pem := certificate(tmp_path, "127.0.0.1", 10))
    with HttpClient() as client:
        assert client.send(Request("GET", site.on("/x", b"safe"), ca_file=pem)).body == b"safe"
        with pytest.raises(NotSent, match="certificate"):
            client.send(Request("GET", f"{site.url}/x"))


@pytest.mark.parametrize(
    ("address", "days", "known"), [("127.0.0.1", 10, False), ("127.0.0.2", 10, True), ("127.0.0.1", -1, True)]
)
def test_an_unknown_authority_another_name_and_an_old_certificate_are_not_sent_to(
    make_site: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    days: int,
    known: bool,
) -> None:
    pem = certificate(tmp_path, address, days)
    site = secure_site(make_site, pem)
    if known:
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with pytest.raises(NotSent, match="certificate") as failed:
        HttpClient().send(Request("POST", site.on("/x"), body=b"s3cret"))
    assert not failed.value.sent
    assert site.asked == []


def test_through_a_proxys_tunnel(
    make_site: Callable[..., Any], talk: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy's own answer is not taken for the server's."""
    pem = certificate(tmp_path, "127.0.0.1", 10)
    site = secure_site(make_site, pem)

    def tunnel(connection: socket.socket, _talk: Any) -> None:
        with socket.create_connection(("127.0.0.1", site.port)) as onward:
            connection.sendall(b"HTTP/1.1 200 Connected\r\nX-Proxy: 1\r\n\r\n")
            back = threading.Thread(target=pump, args=(onward, connection), daemon=True)
            back.start()
            pump(connection, onward)
            back.join()

    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    monkeypatch.setenv("https_proxy", talk(tunnel).url)
    site.on("/x", b"safe", 201)
    # the site is on this machine, which is otherwise never asked through a proxy
    monkeypatch.setattr(transfer, "_no_proxy", lambda: "")
    response = HttpClient().send(Request("POST", f"{site.url}/x", body=b"b"))
    assert (response.status, response.body) == (201, b"safe")
    assert "x-proxy" not in response.headers


def test_a_missing_bundle_is_said(
    make_site: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = secure_site(make_site, certificate(tmp_path, "127.0.0.1", 10))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(NotSent, match=r"none\.pem"):
        HttpClient().send(Request("GET", site.url))
