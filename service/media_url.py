"""The signed addresses under which people see a video, a poster or captions."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from itsdangerous import BadData

from service.signing import BadToken, Clock, check_form, serializer

__all__ = ["BadToken", "MediaToken", "MediaUrls"]

LONGEST = 2048


@dataclass(frozen=True)
class MediaToken:
    """Opens the file `key` of the video store, to be shown as `name`, until `expires_at` (seconds since 1970)."""

    key: str
    name: str
    expires_at: int


class MediaUrls:
    """Makes and reads `<public_url>/media/<token>`.

    The first of `keys` signs, all verify; the expiry is in the token. Raises ValueError without keys.
    """

    def __init__(self, public_url: str, keys: Sequence[str], now: Clock = time.time) -> None:
        self._base = f"{public_url.rstrip('/')}/media/"
        self._serializer = serializer(keys, "storyrelay.media")
        self._now = now

    def url(self, key: str, name: str, seconds: float) -> str:
        """The URL of one file for so many seconds from now; ValueError when key and name are absurdly long."""
        return self.url_until(key, name, self._now() + seconds)

    def token(self, key: str, name: str, seconds: float) -> str:
        """The last part of `url`, for pages of the same origin: they may be reached by another name than links."""
        return self.url(key, name, seconds).removeprefix(self._base)

    def url_until(self, key: str, name: str, expires_at: float) -> str:
        """Like `url`, until a moment (seconds since 1970): the same arguments make the same URL."""
        token = str(self._serializer.dumps([key, name, int(expires_at)]))
        if len(token) > LONGEST:
            raise ValueError(f"key and name are too long for a URL: {key[:80]!r}, {name[:80]!r}")
        return self._base + token

    def read(self, token: str) -> MediaToken:
        """Returns what the token opens; raises BadToken and nothing else, whatever the text."""
        check_form(token, LONGEST)
        try:
            found = MediaToken(*self._serializer.loads(token))
        except BadData:
            raise BadToken from None
        if found.expires_at < self._now():
            raise BadToken
        return found

    def seconds_left(self, token: MediaToken) -> int:
        """For how long a token that was read goes on to be good, at least a second."""
        return max(1, int(token.expires_at - self._now()))
