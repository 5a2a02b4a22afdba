"""WordPress's REST API (developer.wordpress.org/rest-api): where it is, its login, and what its answers mean."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from pydantic import SecretStr

from handlers.connectors.answers import TEMPORARY, unsent
from handlers.connectors.wordpress_answers import WordPressRefusal, failure
from service.connectors import ConnectorTools
from service.domain.delivery import DeliveryFailed
from service.outbound_http import NotJson, OutboundError, Request, Response
from service.outbound_http.plain_text import plain

Query = Mapping[str, str | int]
Json = dict[str, Any]

_LINK = re.compile(r'<([^<>]*)>\s*;[^,]*\brel="?https://api\.w\.org/"?')


@dataclass(frozen=True)
class Login:
    """A site's address and who logs in there; `timeout` in seconds."""

    url: str
    username: str
    application_password: SecretStr
    timeout: float
    ca_file: Path | None


class WordPressApi:
    """Calls one site. Paths are below /wp/v2/, such as `posts`."""

    def __init__(self, login: Login, tools: ConnectorTools) -> None:
        self.host = urlsplit(login.url).hostname or ""
        self.site = login.url.rstrip("/")
        self._login = login
        self._tools = tools
        self._root: str | None = None
        self._paced = False

    def get(self, path: str, query: Query | None = None) -> Any:
        """What stands there. Raises WordPressRefusal, DeliveryFailed."""
        return self._call("GET", path, query)

    def create(self, path: str, fields: Mapping[str, object]) -> Json:
        """Makes something; an answer that doesn't say 201 and what it made is none."""
        return self._made(self._call("POST", path, None, fields, expected=201))

    def update(self, path: str, fields: Mapping[str, object]) -> Json:
        """Changes something."""
        return self._made(self._call("POST", path, None, fields))

    def delete(self, path: str, query: Query) -> None:
        """Removes something; what is gone already is no error."""
        try:
            self._call("DELETE", path, query)
        except WordPressRefusal as refusal:
            if refusal.status not in (404, 410):  # 410: it is in the trash already
                raise

    def upload(self, request: Request, query: Query) -> Json:
        """Makes a media item of the request's body; its URL is set here."""
        return self._made(self._json(self._send(request, self._url("media", query)), expected=201))

    def _call(
        self, method: str, path: str, query: Query | None, fields: object = None, expected: int = 200
    ) -> Any:
        body = None if fields is None else json.dumps(fields).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        request = Request(method, "", headers=headers, body=body, timeout=self._login.timeout)
        return self._json(self._send(request, self._url(path, query)), expected)

    def _url(self, path: str, query: Query | None) -> str:
        root = self._discover() if self._root is None else self._root
        if not query:
            return f"{root}wp/v2/{path}"
        # plain permalinks: the root itself ends in ?rest_route=/
        return f"{root}wp/v2/{path}{'&' if '?' in root else '?'}{urlencode(query)}"

    def _send(self, request: Request, url: str) -> Response:
        login = self._login
        user = f"{login.username}:{login.application_password.get_secret_value()}"
        headers = {
            **request.headers,
            "Accept": "application/json",
            "Authorization": f"Basic {base64.b64encode(user.encode()).decode()}",
        }
        return self._answer(
            Request(
                request.method,
                url,
                headers=headers,
                body=request.body,
                timeout=request.timeout,
                progress=request.progress,
                ca_file=login.ca_file,
            )
        )

    def _answer(self, request: Request) -> Response:
        if self._paced:
            self._tools.pace()
        self._paced = True  # the first call's token is taken already
        try:
            return self._tools.http.send(request)
        except OutboundError as error:
            raise unsent(error, f"{request.method} to WordPress at {self.host}") from error

    def _discover(self) -> str:
        """The root of the API, as the site's own front page says (REST API handbook, "Discovery")."""
        front = f"{self._login.url.rstrip('/')}/"
        answer = self._answer(
            Request("HEAD", front, timeout=self._login.timeout, ca_file=self._login.ca_file)
        )
        if 300 <= answer.status < 400:
            target = plain(answer.headers.get("location", "elsewhere"), 200)
            raise DeliveryFailed(
                f"{self.host} redirects to {target}: put the final address into the url option"
            )
        if answer.status in TEMPORARY or answer.status >= 500:
            raise failure(answer, self.host, self._tools.now())
        link = _LINK.search(answer.headers.get("link", ""))
        # where a cache or a plugin drops the header, this address works with every form of permalinks
        self._root = f"{front}?rest_route=/" if link is None else self._trusted(front, link.group(1))
        return self._root

    def _trusted(self, front: str, root: str) -> str:
        """The root that the header named, if the password may go there: it may not leave the host or TLS."""
        ours, theirs = urlsplit(front), urlsplit(root)
        if theirs.hostname != ours.hostname or theirs.scheme not in ("http", "https"):
            raise DeliveryFailed(
                f"the site at {self.host} says that its API is at {plain(theirs.hostname or root, 200)}, and the "
                "password is not sent to another host: put the address that WordPress has for itself (Settings → "
                "General) into the url option",
                permanent=True,
            )
        if ours.scheme == "https" and theirs.scheme == "http":  # WordPress behind a proxy that ends TLS
            root = theirs._replace(scheme="https", netloc=ours.netloc).geturl()
        return root

    def _json(self, answer: Response, expected: int) -> Any:
        if not 200 <= answer.status < 300:
            raise failure(answer, self.host, self._tools.now())
        try:
            said = answer.json()
        except NotJson as error:
            raise DeliveryFailed(
                f"{error}: WordPress's REST API did not answer, but a page of the site or of something before it; "
                "nothing is taken for done"
            ) from error
        if answer.status != expected:
            raise DeliveryFailed(
                f"{self.host} answered {answer.status} where WordPress answers {expected}; nothing is taken for done"
            )
        return said

    def _made(self, said: Any) -> Json:
        if not isinstance(said, dict) or not isinstance(said.get("id"), int):
            raise DeliveryFailed(
                f"{self.host} answered without the id of what was made: it is looked for next time"
            )
        return said
