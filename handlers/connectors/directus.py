"""Publishes to Directus: video and poster as files, and an item whose fields are filled by templates.

Once: the item has our key in a unique field, and the files have ids of ours, so that Directus refuses a second one.
Nothing needs to be remembered: what an earlier attempt or revision made is found by these names.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, BaseModel, Field, JsonValue, SecretStr, model_validator

from handlers.connectors.directus_api import DirectusApi, DirectusRefused
from handlers.connectors.directus_files import DirectusFiles, expected_media
from handlers.connectors.directus_rights import missing
from handlers.connectors.field_table import FieldTable, Media
from handlers.connectors.options import ConnectorOptions, HttpUrl
from service.connectors import ConnectorTools
from service.domain.delivery import (
    DeliveryFailed,
    Notice,
    PreviewPart,
    Publication,
    Published,
    Withdrawal,
)
from service.outbound_http import FormField, FormFile

_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


class DirectusOptions(ConnectorOptions):
    """`token` is a user's static token; `fields` are templates; `key_field` is unique and holds our key.

    `status` is written into `status_field` when the item is created, and left to people from then on.
    `upload_limit` in bytes: a larger video is linked. `folder` is the id of a folder for the files. `page` is a
    template of the address where people see the story. `ca_file` holds the certificate authority of a private server.
    """

    url: Annotated[HttpUrl, AfterValidator(lambda url: url.rstrip("/"))]
    token: SecretStr
    collection: str = Field(pattern=_NAME)
    key_field: str = Field(pattern=_NAME)
    fields: dict[str, JsonValue] = Field(min_length=1)
    primary_key: str = Field(default="id", pattern=_NAME)
    status: Literal["draft", "published"] | None = None
    status_field: str = Field(default="status", pattern=_NAME)
    folder: str | None = None
    upload_limit: int | None = Field(default=None, ge=0)
    page: str | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _own_fields(self) -> "DirectusOptions":
        own = {self.key_field, self.primary_key} | ({self.status_field} if self.status else set())
        if taken := sorted(own & set(self.fields)):
            raise ValueError(f"fields: {', '.join(taken)} is filled by the connector itself")
        return self


class DirectusConnector:
    """Keeps one item for each story."""

    Options: ClassVar[type[BaseModel]] = DirectusOptions
    notifies: ClassVar[bool] = False

    def __init__(self, options: DirectusOptions, tools: ConnectorTools) -> None:
        self._options = options
        self._tools = tools
        self._table = FieldTable(options.fields)
        self._page = None if options.page is None else FieldTable({"page": options.page})
        ca_file = None if options.ca_file is None else tools.base / options.ca_file
        self._api = DirectusApi(options.url, options.token.get_secret_value(), tools, ca_file)
        self._items = f"/items/{options.collection}"

    def publish(self, publication: Publication) -> Published:
        """Uploads the files that are not there, then creates or changes the item, then removes older files."""
        publication.check()
        found = self._find(publication.key)
        files = DirectusFiles(self._api, publication.key, self._options.folder)
        media = files.put(publication, self._options.upload_limit)
        fields = self._table.render_publication(publication, media)
        publication.check()
        item = self._update(found[0], fields) if found else self._create(publication.key, fields)
        files.remove(keep=media)
        remarks = [*files.remarks, *_dropped(fields, item), *self._doubles(found)]
        number = item.get(self._options.primary_key)
        reference = {"item": number, "video": media.video, "poster": media.poster}
        url = self._address(publication, media, number)
        return Published(url=url, remark="; ".join(remarks), reference=reference)

    def withdraw(self, withdrawal: Withdrawal) -> Published:
        """Deletes the item, then its files: those of an item that stands can't be deleted."""
        withdrawal.check()
        found = self._find(withdrawal.key)
        for number in found:
            self._delete(number)
        files = DirectusFiles(self._api, withdrawal.key)
        if not found and not files.found:
            return Published(remark="was gone already")
        removed = files.remove()
        return Published(remark="; ".join([f"deleted the item and {removed} files", *files.remarks]))

    def preview(self, publication: Publication) -> Sequence[PreviewPart]:
        """The item as JSON, with the ids that the files would have."""
        media = expected_media(self._options.url, publication, self._options.upload_limit)
        item = {**self._own(publication.key), **self._table.render_publication(publication, media)}
        return [
            PreviewPart(f"{self._options.collection}.json", json.dumps(item, indent=2, ensure_ascii=False))
        ]

    def notify(self, notice: Notice) -> Published:
        """Refused for good: nobody watches a collection."""
        raise DeliveryFailed(
            f"Directus has no place for notices ({notice.title}): "
            "name a chat, mail or webhook destination under [notices]",
            permanent=True,
        )

    def check(self) -> str:
        """Reads who we are, our rights and the collection's fields; changes nothing."""
        self._api.get("/users/me", fields="id")
        options = self._options
        filled = [*options.fields, *([options.status_field] if options.status else [])]
        wrong = missing(self._api, options.collection, options.key_field, filled)
        if wrong:
            raise DeliveryFailed(f"{self._host()}: {'; '.join(wrong)}", refused=True)
        return f"{self._host()}: may write to the collection {self._options.collection} and its files"

    def send_test(self) -> Published:
        """Uploads a file of some bytes, creates an item, and deletes both."""
        key, file = f"storyrelay-test-{uuid.uuid4()}", str(uuid.uuid4())
        part = FormFile("file", f"{key}.mp4", "video/mp4", b"\0\0\0\x10ftypisom\0\0\0\0")
        properties = [FormField("id", file), FormField("title", "A test by Storyrelay")]
        self._api.upload("POST", "/files", [*properties, part], 16)
        try:
            address = f"{self._options.url}/assets/{file}"
            item = self._create(key, self._table.render_test(Media(file, file, address, address)))
            self._delete(item.get(self._options.primary_key))
        finally:
            self._api.delete(f"/files/{file}")
        return Published(remark=f"made an item in {self._options.collection} with a file, and deleted both")

    def _own(self, key: str) -> dict[str, Any]:
        """The fields that are ours."""
        status = {self._options.status_field: self._options.status} if self._options.status else {}
        return {self._options.key_field: key, **status}

    def _find(self, key: str) -> list[Any]:
        """The primary keys of the items that have our key: one or none, unless the field isn't unique."""
        name = self._options.primary_key
        rows = self._api.get(self._items, fields=name, filter={self._options.key_field: {"_eq": key}})
        return [row[name] for row in rows]

    def _create(self, key: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            item = self._api.send("POST", self._items, {**self._own(key), **fields})
        except DirectusRefused as error:
            if (error.code, error.about) != ("RECORD_NOT_UNIQUE", self._options.key_field):
                raise
            # made since we looked, by an attempt whose answer was lost
            return self._update(self._find(key)[0], fields)
        return _readable(item)

    def _update(self, number: Any, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        return _readable(self._api.send("PATCH", f"{self._items}/{quote(str(number), safe='')}", fields))

    def _delete(self, number: Any) -> None:
        self._api.delete(f"{self._items}/{quote(str(number), safe='')}")

    def _address(self, publication: Publication, media: Media, number: Any) -> str:
        """Where people see the story, if the operator says it, else where editors see the item."""
        if self._page is not None:
            return str(self._page.render_publication(publication, media)["page"])
        return f"{self._options.url}/admin/content/{self._options.collection}/{quote(str(number), safe='')}"

    def _doubles(self, found: Sequence[Any]) -> list[str]:
        others = ", ".join(map(str, found[1:]))
        return (
            [f"left alone: {others} with the same {self._options.key_field}; make it unique"]
            if others
            else []
        )

    def _host(self) -> str:
        return str(urlsplit(self._options.url).hostname)


def _readable(item: Any) -> Mapping[str, Any]:
    if not isinstance(item, Mapping):
        raise DeliveryFailed(
            "Directus took the item, but its user may not read it: give it the right to", refused=True
        )
    return item


def _dropped(fields: Mapping[str, Any], item: Mapping[str, Any]) -> list[str]:
    """Directus drops fields that it doesn't have and says nothing."""
    names = sorted(set(fields) - set(item))
    return [f"Directus has no field {', '.join(names)}, or doesn't let us read it"] if names else []
