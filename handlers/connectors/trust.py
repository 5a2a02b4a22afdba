"""Which certificates are trusted by the clients that are not behind the outbound seam (slack-sdk, smtplib)."""

import ssl
from functools import cache
from pathlib import Path

import certifi


def trusting(ca_file: Path | None = None) -> ssl.SSLContext:
    """Trusts the system's authorities (or SSL_CERT_FILE) and certifi's, for small images have none of their own.

    With `ca_file` only that file's. Raises OSError when it can't be read.
    """
    return _public() if ca_file is None else ssl.create_default_context(cafile=ca_file)


@cache  # some 50 ms of reading; made once at start, it is there in the process of each delivery
def _public() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
