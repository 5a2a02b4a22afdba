"""Video URLs that are signed and expire, as a CDN's are."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from urllib.parse import urlencode

from service.emulator.refusals import Refusal


class UrlSigner:
    """Signs paths with a secret of its own."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def signed(self, path: str, seconds: float, serial: int) -> str:
        """The path with a query that lets it be read for `seconds`; `serial` tells URLs of one video apart."""
        expires = str(round((time.time() + seconds) * 1000))
        query = {"expires": expires, "serial": str(serial)}
        return f"{path}?{urlencode({**query, 'signature': self._signature(path, query)})}"

    def serial(self, path: str, query: Mapping[str, str]) -> int:
        """Checks a URL and gives its serial; raises Refusal (403)."""
        wanted = self._signature(path, query)
        if not hmac.compare_digest(wanted.encode(), query.get("signature", "").encode()):
            raise Refusal(403, "FORBIDDEN", "the signature of this URL is wrong")
        if int(query["expires"]) < time.time() * 1000:
            raise Refusal(403, "FORBIDDEN", "this URL has expired: get the story again for a fresh one")
        return int(query["serial"])

    def _signature(self, path: str, query: Mapping[str, str]) -> str:
        signed = "\n".join((path, query.get("expires", ""), query.get("serial", "")))
        return hmac.new(self._secret, signed.encode(), hashlib.sha256).hexdigest()
