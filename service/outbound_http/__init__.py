"""The one way out over HTTP: calls, downloads and the guard against addresses that must not be reached."""

from service.outbound_http.address_guard import AddressGuard
from service.outbound_http.client import HttpClient
from service.outbound_http.download import Downloaded, DownloadLimits
from service.outbound_http.errors import (
    AddressRefused,
    BadHeader,
    BadUrl,
    DiskFull,
    HttpStatus,
    Incomplete,
    Interrupted,
    NoAnswer,
    NotJson,
    NotSent,
    OutboundError,
    PartBusy,
    TooLarge,
    TooManyRedirects,
    TooSlow,
)
from service.outbound_http.headers import Headers
from service.outbound_http.messages import Body, FileBody, JoinedBody, Request, Response
from service.outbound_http.multipart import FormField, FormFile, multipart
from service.outbound_http.part_file import PartFile
from service.outbound_http.within_curl import is_within_curl

__all__ = [
    "AddressGuard",
    "AddressRefused",
    "BadHeader",
    "BadUrl",
    "Body",
    "DiskFull",
    "DownloadLimits",
    "Downloaded",
    "FileBody",
    "FormField",
    "FormFile",
    "Headers",
    "HttpClient",
    "HttpStatus",
    "Incomplete",
    "Interrupted",
    "JoinedBody",
    "NoAnswer",
    "NotJson",
    "NotSent",
    "OutboundError",
    "PartBusy",
    "PartFile",
    "Request",
    "Response",
    "TooLarge",
    "TooManyRedirects",
    "TooSlow",
    "is_within_curl",
    "multipart",
]
