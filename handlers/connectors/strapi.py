"""Publishes to Strapi: video and poster into its media library, and an entry whose fields are filled by templates.

Once: the entry has our key in a field. Strapi holds no field of drafts unique, so we look before we create, and look
again afterwards: what turned up twice by then is removed. Nothing needs to be remembered.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, JsonValue, SecretStr, model_validator

from handlers.connectors.field_table import FieldTable, Media
from handlers.connectors.options import ConnectorOptions, HttpUrl
from handlers.connectors.strapi_api import StrapiApi, StrapiRefused
from handlers.connectors.strapi_files import StrapiFiles, upload
from handlers.connectors.strapi_rights import missing
from service.connectors import ConnectorTools
from service.domain.delivery import (
    DeliveryFailed,
    Notice,
    PreviewPart,
    Publication,
    Published,
    Withdrawal,
)


def _api_url(url: str) -> str:
    """Strapi's own client takes the address with its prefix; without one, the usual prefix is meant."""
    plain_url = url.rstrip("/")
    return plain_url if urlsplit(plain_url).path else f"{plain_url}/api"


class StrapiOptions(ConnectorOptions):
    """`url` of the API; `token` is an API token; `collection` is the plural API id; `key_field` holds our key.

    `fields` are templates; `status` says whether each change is published. `upload_limit` in bytes: a larger video
    is linked. `page` is a template of the address where people see the story. `ca_file` holds the certificate
    authority of a private server.
    """

    url: Annotated[HttpUrl, AfterValidator(_api_url)]
    token: SecretStr
    collection: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    key_field: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    fields: dict[str, JsonValue] = Field(min_length=1)
    status: Literal["draft", "published"] = "published"
    upload_limit: int | None = Field(default=None, ge=0)
    page: str | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _own_fields(self) -> "StrapiOptions":
        if self.key_field in self.fields:
            raise ValueError(f"fields: {self.key_field} is filled by the connector itself")
        return self


class StrapiConnector:
    """Keeps one entry for each story."""

    Options: ClassVar[type[BaseModel]] = StrapiOptions
    notifies: ClassVar[bool] = False

    def __init__(self, options: StrapiOptions, tools: ConnectorTools) -> None:
        self._options = options
        self._tools = tools
        self._table = FieldTable(options.fields)
        self._page = None if options.page is None else FieldTable({"page": options.page})
        ca_file = None if options.ca_file is None else tools.base / options.ca_file
        self._api = StrapiApi(options.url, options.token.get_secret_value(), tools, ca_file)
        self._entries = f"/{options.collection}"

    def publish(self, publication: Publication) -> Published:
        """Uploads the files that are not there, then creates or changes the entry, then removes older files."""
        publication.check()
        found = self._find(publication.key)
        files = StrapiFiles(self._api, publication.key)
        media = files.put(publication, self._options.upload_limit)
        fields = {self._options.key_field: publication.key}
        fields |= self._table.render_publication(publication, media)
        publication.check()
        if found:
            self._update(found[0], fields)
        entry = found[0] if found else self._create(publication.key, fields)
        if self._options.status == "published" or not self._is_published(publication.key):
            files.remove(keep=media)
        remarks = [*files.remarks, *self._doubles(found)]
        reference = {"entry": entry, "video": media.video, "poster": media.poster}
        url = self._address(publication, media) or f"{self._options.url}{self._entries}/{entry}"
        return Published(url=url, remark="; ".join(remarks), reference=reference)

    def withdraw(self, withdrawal: Withdrawal) -> Published:
        """Deletes the entry, draft and published, and its files."""
        withdrawal.check()
        found = self._find(withdrawal.key)
        for entry in found:
            self._api.delete(f"{self._entries}/{entry}")
        removed = StrapiFiles(self._api, withdrawal.key).remove()
        if not found and not removed:
            return Published(remark="was gone already")
        return Published(remark=f"deleted the entry and {removed} files")

    def preview(self, publication: Publication) -> Sequence[PreviewPart]:
        """The entry as JSON; 1 and 2 stand for the numbers that Strapi would give to video and poster."""
        links = publication.links
        media = Media(1, 2 if links.poster else None, links.video, links.poster)
        entry = {self._options.key_field: publication.key}
        entry |= self._table.render_publication(publication, media)
        text = json.dumps({"status": self._options.status, "data": entry}, indent=2, ensure_ascii=False)
        return [PreviewPart(f"{self._options.collection}.json", text)]

    def notify(self, notice: Notice) -> Published:
        """Refused for good: nobody watches a collection."""
        raise DeliveryFailed(
            f"Strapi has no place for notices ({notice.title}): "
            "name a chat, mail or webhook destination under [notices]",
            permanent=True,
        )

    def check(self) -> str:
        """Tries each right with a call that can't have an effect."""
        wrong = missing(self._api, self._entries, self._options.key_field)
        host = urlsplit(self._options.url).hostname
        if wrong:
            raise DeliveryFailed(f"{host}: {'; '.join(wrong)}", refused=True)
        return f"{host}: may write to {self._options.collection} and the media library; send-test tries the fields"

    def send_test(self) -> Published:
        """Uploads a file of some bytes, creates a draft, and deletes both."""
        key = f"storyrelay-test-{uuid.uuid4()}"
        film = b"\0\0\0\x10ftypisom\0\0\0\0"
        file = upload(self._api, f"{key}.mp4", "A test by Storyrelay", "video/mp4", film, len(film))
        try:
            fields = self._table.render_test(Media(file.id, file.id, file.url, file.url))
            content = {"data": {self._options.key_field: key, **fields}}
            made = self._api.send("POST", f"{self._entries}?status=draft", content)
            self._api.delete(f"{self._entries}/{_document(made)}")
        finally:
            self._api.delete(f"/upload/files/{file.id}")
        return Published(remark=f"made a draft in {self._options.collection} with a file, and deleted both")

    def _find(self, key: str) -> list[str]:
        """The document ids that have our key, the oldest first. Each entry has a draft, also if it is published."""
        query = {
            f"filters[{self._options.key_field}][$eq]": key,
            "status": "draft",
            "fields[0]": "documentId",
            "fields[1]": "createdAt",
        }
        rows: Sequence[Mapping[str, Any]] = self._api.get(self._entries, query)["data"]
        ordered = sorted(rows, key=lambda row: (str(row.get("createdAt")), str(row["documentId"])))
        return [str(row["documentId"]) for row in ordered]

    def _create(self, key: str, fields: Mapping[str, Any]) -> str:
        """Creates, and removes what another attempt made since we looked; the oldest stays, whoever looks."""
        made = _document(self._api.send("POST", self._written(self._entries), {"data": fields}))
        oldest, *later = self._find(key) or [made]
        for one in later:
            self._api.delete(f"{self._entries}/{one}")
        if oldest != made:
            self._update(oldest, fields)
        return oldest

    def _update(self, entry: str, fields: Mapping[str, Any]) -> None:
        try:
            self._api.send("PUT", self._written(f"{self._entries}/{entry}"), {"data": fields})
        except StrapiRefused as error:
            if error.status != 404:
                raise
            raise DeliveryFailed(f"the entry {entry} was deleted since we looked") from error

    def _written(self, path: str) -> str:
        """Without a status, Strapi publishes what it is given."""
        return f"{path}?status={self._options.status}"

    def _is_published(self, key: str) -> bool:
        """Whether people published the draft: what they show of it goes on needing the files of then."""
        query = {f"filters[{self._options.key_field}][$eq]": key, "status": "published"}
        return bool(self._api.get(self._entries, query)["data"])

    def _address(self, publication: Publication, media: Media) -> str | None:
        """Where people see the story, if the operator says it."""
        return None if self._page is None else str(self._page.render_publication(publication, media)["page"])

    def _doubles(self, found: Sequence[str]) -> list[str]:
        """An editor's copy of an entry has its key, too: it is not ours to remove."""
        others = ", ".join(found[1:])
        return [f"left alone: {others} with the same {self._options.key_field}"] if others else []


def _document(answer: Any) -> str:
    data = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(data, Mapping) or "documentId" not in data:
        raise DeliveryFailed(
            "Strapi made the entry, but does not say its documentId: is it Strapi 5?", refused=True
        )
    return str(data["documentId"])
