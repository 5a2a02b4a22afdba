"""The one-time address by which the first account of the dashboard is made."""

from collections.abc import Sequence

from itsdangerous import BadData

from service.signing import BadToken, Clock, check_form, timestamp_signer

__all__ = ["BadToken", "SetupUrls"]

HOURS = 24
_WORD = "first-account"


class SetupUrls:
    """Makes and reads `<public_url>/setup/<token>`, good for a day, and for as long as there is no account."""

    def __init__(self, public_url: str, keys: Sequence[str], now: Clock) -> None:
        self._base = f"{public_url.rstrip('/')}/setup/"
        self._signer = timestamp_signer(keys, "storyrelay.setup", now)

    def url(self) -> str:
        """A fresh address."""
        return self._base + self._signer.sign(_WORD).decode()

    def read(self, token: str) -> None:
        """Raises BadToken, and nothing else, for what is not one of ours or is over."""
        check_form(token, 200)
        try:
            word = self._signer.unsign(token, max_age=HOURS * 3600)
        except BadData:
            raise BadToken from None
        if word.decode() != _WORD:
            raise BadToken
