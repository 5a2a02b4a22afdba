"""The kinds of value that settings have, and how each is read. No message repeats a value."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, SecretStr, TypeAdapter, ValidationError
from pydantic_settings import NoDecode

from service.video_store import refuse_slip

_LONGEST_SECONDS = 10 * 365 * 86_400
_SHORTEST_KEY = 16
_BYTES = TypeAdapter(ByteSize)


def listed(value: Any) -> Any:
    """`a, b` → the list of `a` and `b`; anything but text stays."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def lower_case(value: Any) -> Any:
    """`INFO` → `info`; anything but text stays."""
    return value.lower() if isinstance(value, str) else value


def or_off(value: Any) -> Any:
    """`off` → None; anything else stays."""
    return None if isinstance(value, str) and value.strip().lower() == "off" else value


def secret_keys_file(home: Path) -> Path:
    """Where the keys are kept that `storyrelay up` made."""
    return home / "var" / "secret_keys"


def sqlite_url(path: Path) -> str:
    """SQLAlchemy's URL of a SQLite file."""
    return f"sqlite:///{quote(str(path.absolute()), safe='/')}"


def database_url(value: str, home: Path) -> str:
    """SQLAlchemy's URL, with the driver that we install; a relative SQLite file is meant from `home`."""
    scheme, _, rest = value.partition("://")
    if scheme.startswith("sqlite"):
        return _sqlite(scheme, rest, home)
    _check_url(value, ("postgresql", "postgres", "postgresql+psycopg", "sqlite"))
    return f"postgresql+psycopg://{rest}"


def video_store(value: str, home: Path) -> str:
    """A folder (a path, from `home`, or file:///…) or a bucket (s3://bucket/prefix, gs://…, az://…)."""
    refuse_slip(value)
    if "://" not in value:
        return (home / value).absolute().as_uri()
    if value.startswith("file://") and not value.startswith("file:///"):
        raise ValueError("should be file:///folder, with three slashes, or just the folder's path")
    return _check_url(value, ("file", "s3", "gs", "az"))


def _sqlite(scheme: str, rest: str, home: Path) -> str:
    path, options, _ = rest.removeprefix("/").partition("?")
    if scheme not in ("sqlite", "sqlite+pysqlite") or not rest.startswith("/") or options:
        raise ValueError("should be sqlite:///path/of/the/file, with three slashes and no options")
    if not path or ":memory:" in path:
        raise ValueError("should name a file: several processes share the ledger, and memory would be lost")
    return sqlite_url(home / unquote(path))


def _check_url(value: str, schemes: tuple[str, ...]) -> str:
    scheme, _, rest = value.partition("://")
    if scheme.lower() not in schemes or not rest:
        raise ValueError(f"should be a URL that starts with {' or '.join(f'{name}://' for name in schemes)}")
    if any(char.isspace() or not char.isprintable() for char in value):
        raise ValueError("should not contain spaces or control characters")
    try:
        _ = urlsplit(value).port
    except ValueError:
        raise ValueError("should be a URL, but its host or port can't be read") from None
    return value


def _web_address(value: str) -> str:
    """An http(s) URL to which paths can be added: no query, no fragment, no trailing slash."""
    parts = urlsplit(_check_url(value, ("http", "https")))
    if not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("should be a URL of scheme, host, maybe port and path, and nothing else")
    return value.rstrip("/")


def _redis_url(value: str) -> str:
    return _check_url(value, ("redis", "rediss", "unix"))


def _sentry_dsn(value: str) -> str:
    parts = urlsplit(_check_url(value, ("http", "https")))
    if not (parts.username and parts.hostname and parts.path.strip("/")):
        raise ValueError("should be a DSN as Sentry shows it: https://key@host/project")
    return value


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError("should be a folder that exists")
    return path.absolute()


def _long_enough(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    short = [str(number) for number, key in enumerate(keys, 1) if len(key.get_secret_value()) < _SHORTEST_KEY]
    if short:
        raise ValueError(
            f"should be keys of {_SHORTEST_KEY} characters or more; too short: {', '.join(short)}"
        )
    return keys


def _for_a_header(key: SecretStr) -> SecretStr:
    text = key.get_secret_value().strip()
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("should be one word of ASCII characters: it is sent as a header")
    return SecretStr(text)


def _network(value: Any) -> IPv4Network | IPv6Network:
    try:
        return ip_network(value)
    except ValueError:
        raise ValueError("should be addresses or networks such as 10.1.2.3 or 10.0.0.0/8") from None


def _bytes(value: Any) -> int:
    try:
        return _BYTES.validate_python(value)
    except ValidationError:
        raise ValueError("should be a number of bytes, such as 65536 or 2GiB") from None


Seconds = Annotated[float, Field(gt=0, le=_LONGEST_SECONDS, allow_inf_nan=False)]
Days = Annotated[float, Field(gt=0, le=3650, allow_inf_nan=False)]
KeepTwoDays = Annotated[
    Annotated[float, Field(ge=2, le=36500, allow_inf_nan=False)] | None, BeforeValidator(or_off)
]
Keep = Annotated[Annotated[float, Field(gt=0, le=36500, allow_inf_nan=False)] | None, BeforeValidator(or_off)]
Rate = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Size = Annotated[int, BeforeValidator(_bytes), Field(ge=1)]
Schedule = Annotated[
    tuple[Seconds, ...], NoDecode, BeforeValidator(listed), Field(min_length=1, max_length=100)
]
Folder = Annotated[Path, AfterValidator(_folder)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
SentryDsn = Annotated[str, AfterValidator(_sentry_dsn)]
ApiKey = Annotated[SecretStr, AfterValidator(_for_a_header)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(listed)]
LOOPBACK = (IPv4Network("127.0.0.1/32"), IPv6Network("::1/128"))
SecretKeys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(listed), AfterValidator(_long_enough)]
