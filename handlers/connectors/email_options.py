"""What a mailbox destination is told in the configuration."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from handlers.connectors.email_message import address
from handlers.connectors.oauth_token import OAuth2Options
from handlers.connectors.options import ConnectorOptions

PORTS = {"starttls": 587, "tls": 465, "none": 25}

_LIST_ID = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+")


def _mail_address(text: str) -> str:
    address(text)
    return text


def _list_id(text: str) -> str:
    if not _LIST_ID.fullmatch(text) or len(text) > 200:
        raise ValueError("must look like a host's name, as videos.example.com")
    return text


def _unsubscribe(text: str) -> str:
    """A mailto: or https: address that stands between angle brackets as it is (RFC 2369 §2)."""
    parts = urlsplit(text)
    fits = {"mailto": "@" in parts.path, "https": bool(parts.hostname)}
    if not fits.get(parts.scheme) or not text.isascii() or not text.isprintable() or set(text) & set("<> ,"):
        raise ValueError("must be mailto:user@example.com or an address that starts with https://")
    return text


MailAddress = Annotated[str, AfterValidator(_mail_address)]
ListId = Annotated[str, AfterValidator(_list_id)]
UnsubscribeAddress = Annotated[str, AfterValidator(_unsubscribe)]


class EmailOptions(ConnectorOptions):
    """`security`: starttls, tls, or none (only to this machine, or with `insecure = true`).

    `bounces_to` is the address of the envelope, `from` if it is not set. `subject` is a template text;
    `template` (HTML) and `text_template` are files relative to the configuration file, `templates` and
    `text_templates` such files by the name of the route that brings the story. `ca_file` holds the certificate
    authority of a private server. `attach_limit` in bytes; `timeout` in seconds for each exchange, `data_timeout`
    for the answer to a whole mail (RFC 5321 §4.5.3.2.6: ten minutes, for a mail that is taken after we have gone
    comes twice). `one_click`: the https address of `list_unsubscribe` works as RFC 8058 says.
    """

    host: str = Field(min_length=1)
    port: int | None = Field(default=None, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    insecure: bool = False
    ca_file: Path | None = None
    username: str | None = None
    password: SecretStr | None = None
    oauth2: OAuth2Options | None = None
    from_: MailAddress = Field(alias="from")
    bounces_to: MailAddress | None = None
    to: tuple[MailAddress, ...] = Field(min_length=1)
    cc: tuple[MailAddress, ...] = ()
    bcc: tuple[MailAddress, ...] = ()
    reply_to: MailAddress | None = None
    list_id: ListId | None = None
    list_unsubscribe: tuple[UnsubscribeAddress, ...] = ()
    one_click: bool = False
    subject: str | None = None
    template: Path | None = None
    text_template: Path | None = None
    templates: dict[str, Path] = Field(default_factory=dict)
    text_templates: dict[str, Path] = Field(default_factory=dict)
    attach_limit: int = Field(default=10_000_000, ge=0)
    timeout: float = Field(default=30, gt=0, le=600)
    data_timeout: float = Field(default=600, gt=0, le=3600)

    @model_validator(mode="after")
    def _fits_together(self) -> "EmailOptions":
        if self.password is not None and self.oauth2 is not None:
            raise ValueError("password or oauth2: one of them logs in")
        if (self.username is None) != (self.password is None and self.oauth2 is None):
            raise ValueError("username and password (or oauth2) belong together")
        if self.username is not None and not (self.username.isascii() and self.username.isprintable()):
            raise ValueError("username must be printable ASCII, which is all that SMTP logins know")
        if self.one_click and not any(one.startswith("https:") for one in self.list_unsubscribe):
            raise ValueError("one_click needs an https address in list_unsubscribe")
        if self.security == "none" and not (self.insecure or _is_this_machine(self.host)):
            raise ValueError(
                "security = none to another machine shows mails and password: say insecure = true"
            )
        return self


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
