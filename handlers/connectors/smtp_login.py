"""Logging in at a mail server: with a password, or with an access token (XOAUTH2, OAUTHBEARER)."""

import smtplib
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from handlers.connectors.oauth_token import AccessTokens


class Login(Protocol):
    """A way to log in."""

    @property
    def username(self) -> str:
        """Whose login it is; it may be shown."""

    @property
    def hint(self) -> str:
        """What to look at when it is refused."""

    def enter(self, smtp: smtplib.SMTP) -> None:
        """Logs in. Raises smtplib.SMTPException, OSError, DeliveryFailed."""

    def renew(self) -> bool:
        """After a refusal: whether something fresh is there to try once more with."""


@dataclass(frozen=True)
class PasswordLogin:
    """The strongest mechanism that smtplib and the server have in common."""

    username: str
    password: SecretStr
    hint: str = "see username and password"

    def enter(self, smtp: smtplib.SMTP) -> None:
        """Logs in."""
        smtp.login(self.username, self.password.get_secret_value())

    def renew(self) -> bool:
        """A wrong password stays wrong."""
        return False


@dataclass(frozen=True)
class TokenLogin:
    """With an access token: XOAUTH2 as Google and Microsoft document it, or OAUTHBEARER (RFC 7628)."""

    username: str
    tokens: AccessTokens
    host: str
    port: int
    hint: str = (
        "it doesn't take the access token: the username must be the mailbox that the token is for, and the token"
        " must have the scope for SMTP (Google: https://mail.google.com/, Microsoft:"
        " https://outlook.office.com/SMTP.Send, with SMTP AUTH switched on for the mailbox)"
    )

    def enter(self, smtp: smtplib.SMTP) -> None:
        """Logs in; the token is not asked for where the server takes none."""
        offered = smtp.esmtp_features.get("auth", "").upper().split()
        if "XOAUTH2" in offered:
            answers = _Answers(f"user={self.username}\1auth=Bearer {self.tokens.current()}\1\1", "")
            smtp.auth("XOAUTH2", answers)
        elif "OAUTHBEARER" in offered:
            smtp.auth("OAUTHBEARER", _Answers(self._bearer(), "\1"))
        else:
            raise smtplib.SMTPNotSupportedError("it offers neither XOAUTH2 nor OAUTHBEARER")

    def renew(self) -> bool:
        """A token that was kept may have been revoked meanwhile."""
        return self.tokens.renew()

    def _bearer(self) -> str:
        user = self.username.replace("=", "=3D").replace(",", "=2C")  # a GS2 header's name (RFC 5801 §4)
        return f"n,a={user},\1host={self.host}\1port={self.port}\1auth=Bearer {self.tokens.current()}\1\1"


@dataclass(frozen=True)
class _Answers:
    """What smtplib asks for: the first word, and the one that ends a refusal told as a challenge."""

    first: str
    acknowledged: str

    def __call__(self, challenge: bytes | None = None) -> str:
        return self.first if challenge is None else self.acknowledged
