"""Calls to a place's JSON API: paced, logged in, and told by their method, path and host."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from handlers.connectors.answers import unsent
from service.connectors import ConnectorTools
from service.outbound_http import Body, OutboundError, Request, Response

UPLOAD_RATE = 50_000
"""Bytes a second: a slower upload is given up."""


@dataclass
class JsonCalls:
    """Calls below `url`, with the certificate authority of a private server where `ca_file` names one."""

    url: str
    tools: ConnectorTools
    ca_file: Path | None = None
    _called: bool = False

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: Body | None, timeout: float
    ) -> tuple[Response, str]:
        """The answer, whatever its status, and the words for the call. `timeout` in seconds.

        Raises DeliveryFailed where there is no answer, `Unanswered` where the call may have had its effect.
        """
        if self._called:
            self.tools.pace()
        self._called = True
        what = f"{method} {path.partition('?')[0]} at {urlsplit(self.url).hostname}"
        wanted = {"Accept": "application/json", **headers}
        request = Request(method, f"{self.url}{path}", wanted, body, timeout=timeout, ca_file=self.ca_file)
        try:
            return self.tools.http.send(request), what
        except OutboundError as error:
            raise unsent(error, what) from error
