"""What the options of every connector have in common."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict


class ConnectorOptions(BaseModel):
    """A destination's options: unknown names are refused, and a wrong value is never quoted (it may be a secret)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def http_url(url: str) -> str:
    """The URL, when it is a plain http or https one. Raises ValueError, which never quotes it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL that starts with http:// or https://")
    if parts.username or parts.password:
        raise ValueError("must not contain a user or password")
    return url


HttpUrl = Annotated[str, AfterValidator(http_url)]
"""An http or https URL without user and password."""
