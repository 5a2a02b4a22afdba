"""The options of an archive."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from handlers.connectors.archive_folders import BY_ID
from handlers.connectors.options import ConnectorOptions, HttpUrl
from service.video_store import open_store

_ANYWHERE = frozenset({"path", "key"})


def _header(value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise ValueError("must be printable ASCII, for it becomes a header")
    return value


class ArchiveOptions(ConnectorOptions):
    """`path`: a folder, relative to the configuration file, or `s3://bucket/prefix`; the rest but `key` is for S3.

    `key`: a template of the story's folder. Without access keys, the AWS_* environment variables are used.
    `allow_http` permits an endpoint without TLS. For those who fetch the files, `cache_control` is sent with them,
    and with `disposition` the story's title as the video's name. `checksum` keeps a SHA-256 with each object, for
    stores that know `x-amz-checksum-sha256`.
    """

    path: str = Field(min_length=1)
    key: str = BY_ID
    endpoint: HttpUrl | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None
    allow_http: bool = False
    cache_control: Annotated[str, AfterValidator(_header)] | None = None
    disposition: Literal["inline", "attachment"] | None = None
    checksum: Literal["sha256"] | None = None

    @model_validator(mode="after")
    def _s3_options_need_s3(self) -> "ArchiveOptions":
        extra = self.model_fields_set - _ANYWHERE
        if extra and not self.path.startswith("s3://"):
            raise ValueError(f"{', '.join(sorted(extra))}: only with a path that starts with s3://")
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key belong together")
        open_store(self.path, base=Path(), options=self.store_options())  # says what is wrong with the path
        return self

    def store_options(self) -> dict[str, str]:
        """What the store is opened with."""
        secret = self.secret_access_key
        given = {
            "endpoint": self.endpoint,
            "region": self.region,
            "access_key_id": self.access_key_id,
            "secret_access_key": None if secret is None else secret.get_secret_value(),
            "allow_http": "true" if self.allow_http else None,
            "checksum_algorithm": self.checksum,
        }
        return {name: value for name, value in given.items() if value is not None}
