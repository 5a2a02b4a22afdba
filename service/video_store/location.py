"""From a location in the settings to the store that is there."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from service.video_store.errors import BadLocation
from service.video_store.folder import FolderStore
from service.video_store.keys import INCOMING
from service.video_store.remote import RemoteStore
from service.video_store.store import ObjectStore

_S3 = frozenset(
    {
        "access_key_id",
        "checksum_algorithm",
        "endpoint",
        "region",
        "request_payer",
        "secret_access_key",
        "server_side_encryption",
        "session_token",
        "skip_signature",
        "sse_kms_key_id",
        "virtual_hosted_style_request",
    }
)
_GOOGLE = frozenset({"service_account", "service_account_key", "application_credentials", "skip_signature"})
_AZURE = frozenset(
    {
        "access_key",
        "account_name",
        "bearer_token",
        "client_id",
        "client_secret",
        "endpoint",
        "sas_key",
        "tenant_id",
        "use_emulator",
    }
)
_KINDS = {
    "s3": _S3,
    "s3a": _S3,
    "gs": _GOOGLE,
    "az": _AZURE,
    "azure": _AZURE,
    "abfs": _AZURE,
    "abfss": _AZURE,
    "adl": _AZURE,
}
_SLIP = re.compile(rf"(file|{'|'.join(_KINDS)})(:|//)", re.IGNORECASE)
"""The beginning of a URL whose `://` is not whole: nobody means a folder of that name."""

_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


def open_store(
    location: str, *, base: Path, options: Mapping[str, str] = _NO_OPTIONS, incoming: Path | None = None
) -> ObjectStore:
    """Make the store of a location; nothing is touched and nothing is asked before it is used.

    `location` is a path (relative to `base`), `file:///…`, or `s3://bucket/prefix`, `gs://…`, `az://…` with
    options after a `?` or in `options`, which win; what neither gives comes from the environment (`AWS_…`).
    `incoming` is where temporary files go: by default `.incoming` in the folder, or in `base`.
    Raises BadLocation.
    """
    refuse_slip(location)
    url = urlsplit(location) if "://" in location else SplitResult("", "", location, "", "")
    if url.scheme in ("", "file"):
        return FolderStore(_folder(url, base, options), incoming)
    return _remote(url, options, incoming or base / INCOMING)


def refuse_slip(location: str) -> None:
    """Raises BadLocation for a store's URL with a slip in its `://`, such as `s3:/bucket`: it is no folder's path."""
    found = None if "://" in location else _SLIP.match(location)
    if found is None:
        return
    kind = found[1].lower()
    meant = "file:///folder, with three slashes" if kind == "file" else f"{kind}://bucket/prefix"
    raise BadLocation(
        f"should be {meant}, and not begin with {found[0]}; a folder of that name is ./{found[0]}…"
    )


def _folder(url: SplitResult, base: Path, options: Mapping[str, str]) -> Path:
    path = unquote(url.path) if url.scheme else url.path
    if url.netloc not in ("", "localhost"):
        raise BadLocation(f"file://{url.netloc}…: write file:/// with three slashes and the whole path")
    if not path.strip() or "\0" in path:
        raise BadLocation("the store's location is empty: write a folder, or s3://bucket/prefix")
    if options or url.query or url.fragment:
        raise BadLocation(f"the folder {path} takes no options")
    return (base / Path(path).expanduser()).absolute()


def _remote(url: SplitResult, options: Mapping[str, str], incoming: Path) -> RemoteStore:
    if url.scheme not in _KINDS:
        raise BadLocation(
            f"{url.scheme}:// is no kind of store: write a folder, file:///…, s3://, gs:// or az://"
        )
    name = url.netloc.rpartition("@")[2]
    place = f"{url.scheme}://{name}{url.path.rstrip('/')}"
    if name != url.netloc:
        raise BadLocation(f"{place}: keys and secrets go into the options, not before the name")
    if not name or url.fragment:
        raise BadLocation(f"{place}: write {url.scheme}://bucket/prefix")
    merged = {**dict(parse_qsl(url.query, keep_blank_values=True)), **options}
    allow_http = _flag(place, merged.pop("allow_http", "")) or merged.get("endpoint", "").startswith(
        "http://"
    )
    for option in merged:
        _check_option(place, option, _KINDS[url.scheme])
    return RemoteStore(place, merged, incoming, allow_http=allow_http)


def _check_option(place: str, option: str, known: frozenset[str]) -> None:
    if option in known:
        return
    near = difflib.get_close_matches(option, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise BadLocation(
        f"{place} has no option {option[:40]!r}: {hint}there are allow_http, {', '.join(sorted(known))}"
    )


def _flag(place: str, value: str) -> bool:
    if value.lower() not in ("", "true", "false", "1", "0"):
        raise BadLocation(f"{place}: allow_http is true or false, not {value[:40]!r}")
    return value.lower() in ("true", "1")
