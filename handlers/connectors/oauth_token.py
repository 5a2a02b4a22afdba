"""Access tokens by OAuth 2.0 (RFC 6749), kept for their lifetime in this process."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from pydantic import Field, SecretStr, model_validator

from handlers.connectors.answers import answered, excerpt, unsent
from handlers.connectors.options import ConnectorOptions, HttpUrl
from service.domain.delivery import DeliveryFailed
from service.outbound_http import HttpClient, NotJson, OutboundError, Request, Response

_EARLY = timedelta(seconds=60)
"""A token is not used in its last minute: it might end on its way."""
_UNTOLD_SECONDS = 300
"""How long a token is kept whose lifetime the endpoint does not tell (RFC 6749 §5.1 recommends that it does)."""

_WHAT_TO_DO = {
    "invalid_grant": "the refresh token is no longer good: give consent again and set the new refresh_token",
    "invalid_client": "see client_id and client_secret, which may have expired",
    "unauthorized_client": "allow this kind of grant for the application at the provider",
    "invalid_scope": "see scope, and what the provider lets the application ask for",
    "unsupported_grant_type": "see token_url",
}
"""By the error codes of RFC 6749 §5.2."""


class OAuth2Options(ConnectorOptions):
    """With `refresh_token` the grant of that name (Google, Microsoft), without it client_credentials (Microsoft)."""

    token_url: HttpUrl
    client_id: str = Field(min_length=1)
    client_secret: SecretStr | None = None
    refresh_token: SecretStr | None = None
    scope: str | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "OAuth2Options":
        if self.refresh_token is None and (self.client_secret is None or self.scope is None):
            raise ValueError(
                "without a refresh_token, client_secret and scope are needed (client credentials)"
            )
        return self


@dataclass(frozen=True)
class _Token:
    text: str = field(repr=False)
    good_until: datetime


@dataclass(frozen=True)
class _Grant:
    """What a login of ours has now: its token, and the newest refresh token (providers may rotate it, §6)."""

    token: _Token
    refresh_token: str | None = field(repr=False)


_KEPT: dict[str, _Grant] = {}


class AccessTokens:
    """The access tokens of one login. Lives for one step; what it fetches is kept for the process."""

    def __init__(self, options: OAuth2Options, http: HttpClient, now: Callable[[], datetime]) -> None:
        self._options = options
        self._http = http
        self._now = now
        self._fetched = False
        self._key = hashlib.sha256(repr([_revealed(value) for _, value in options]).encode()).hexdigest()

    def current(self) -> str:
        """A token that is good for a minute at least. Raises DeliveryFailed."""
        grant = _KEPT.get(self._key)
        if grant is None or grant.token.good_until <= self._now():
            grant = _KEPT[self._key] = self._fetch(grant)
            self._fetched = True
        return grant.token.text

    def renew(self) -> bool:
        """Forgets a kept token that was refused; False when it had only just been fetched."""
        grant = _KEPT.get(self._key)
        if self._fetched or grant is None:
            return False
        _KEPT[self._key] = _Grant(
            _Token("", datetime.min.replace(tzinfo=self._now().tzinfo)), grant.refresh_token
        )
        return True

    def _fetch(self, before: _Grant | None) -> _Grant:
        refresh_token = before.refresh_token if before else _revealed(self._options.refresh_token)
        answer = self._ask(self._form(refresh_token))
        if answer.status != 200:
            raise self._refusal(answer)
        return self._read(answer, refresh_token)

    def _form(self, refresh_token: str | None) -> dict[str, str]:
        options = self._options
        form = {
            "grant_type": "refresh_token" if refresh_token else "client_credentials",
            "client_id": options.client_id,
            "client_secret": _revealed(options.client_secret),
            "refresh_token": refresh_token,
            "scope": options.scope,
        }
        return {name: value for name, value in form.items() if value is not None}

    def _ask(self, form: dict[str, str]) -> Response:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        request = Request("POST", self._options.token_url, headers=headers, body=urlencode(form).encode())
        try:
            return self._http.send(request)
        except OutboundError as error:
            raise unsent(error, f"asking {self._host} for an access token") from error

    def _read(self, answer: Response, refresh_token: str | None) -> _Grant:
        said = _object(answer)
        token, seconds = said.get("access_token"), said.get("expires_in", _UNTOLD_SECONDS)
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise DeliveryFailed(
                f"{self._host} answered without an access token; see token_url", refused=True
            )
        lifetime = timedelta(seconds=_number(seconds))
        newer = said.get("refresh_token")
        return _Grant(
            _Token(token, self._now() + max(lifetime - _EARLY, timedelta(0))),
            newer if isinstance(newer, str) and newer and refresh_token else refresh_token,
        )

    def _refusal(self, answer: Response) -> DeliveryFailed:
        said = _object(answer)
        code = said.get("error")
        words = f"{code} {said.get('error_description') or ''}" if isinstance(code, str) else ""
        message = (
            f"{self._host} gave no access token ({answer.status}): {excerpt(self._hidden(words).encode())}"
        )
        message = message.rstrip(": ")
        if answer.status == 429 or answer.status >= 500:
            return answered(answer.status, message, answer.retry_after(self._now()))
        advice = _WHAT_TO_DO.get(code if isinstance(code, str) else "", "see the options under oauth2")
        return DeliveryFailed(f"{message}; {advice}", refused=True)

    def _hidden(self, text: str) -> str:
        """The endpoint's words without our secrets, should it repeat them."""
        grant = _KEPT.get(self._key)
        for secret in (
            _revealed(self._options.client_secret),
            _revealed(self._options.refresh_token),
            grant.refresh_token if grant else None,
        ):
            text = text.replace(secret, "…") if secret else text
        return text

    @property
    def _host(self) -> str:
        return urlsplit(self._options.token_url).hostname or ""


def _revealed(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _object(answer: Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except NotJson:
        return {}
    return said if isinstance(said, dict) else {}


def _number(value: object) -> float:
    """A lifetime in seconds, at most a day; some endpoints write it as text."""
    whole = str(value).partition(".")[0]
    return min(float(whole), 86_400.0) if whole.isdecimal() else float(_UNTOLD_SECONDS)
