"""Publishes to Strapi: video and poster into its media library, and an entry whose fields are filled by templates.

Once: the entry has our key in a field. Strapi holds no field of drafts unique, so we look before we create, and look
again afterwards: what turned up twice by then is removed. Nothing needs to be remembered.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, JsonValue, SecretStr, model_validator

from handlers.connectors.field_table import FieldTable, Media
from handlers.connectors.options import ConnectorOptions, HttpUrl
from handlers.connectors.strapi_api import StrapiApi
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
    is linked.
    """

    url: Annotated[HttpUrl, AfterValidator(_api_url)]
    token: SecretStr
    collection: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    key_field: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    fields: dict[str, JsonValue] = Field(min_length=1)
    status: Literal["draft", "published"] = "published"
    upload_limit: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _own_fields(self) -> "StrapiOptions":
        if self.key_field in self.fields:
            raise ValueError(f"fields: {self.key_field} is filled by the connector itself")
        return self


class StrapiConnector:
    """Keeps one entry for each story."""

    Options: ClassVar[type[BaseModel]] = StrapiOptions

    def __init__(self, options: StrapiOptions, tools: ConnectorTools) -> None:
        self._options = options
        self._tools = tools
        self._table = FieldTable(options.fields)
        self._api = StrapiApi(options.url, options.token.get_secret_value(), tools)
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
        else:
            found = self._create(publication.key, fields)
        files.remove(keep=media)
        remarks = [*files.remarks, *self._doubles(found)]
        reference = {"entry": found[0], "video": media.video, "poster": media.poster}
        address = f"{self._options.url}{self._entries}/{found[0]}"
        return Published(url=address, remark="; ".join(remarks), reference=reference)

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

    def _create(self, key: str, fields: Mapping[str, Any]) -> list[str]:
        """Creates, and takes its entry back where another attempt was first; answers the ids, ours or that one's."""
        made = _document(self._api.send("POST", self._written(self._entries), {"data": fields}))
        found = self._find(key)
        if not found or found[0] == made:
            return found or [made]
        self._api.delete(f"{self._entries}/{made}")
        self._update(found[0], fields)
        return [one for one in found if one != made]

    def _update(self, entry: str, fields: Mapping[str, Any]) -> None:
        self._api.send("PUT", self._written(f"{self._entries}/{entry}"), {"data": fields})

    def _written(self, path: str) -> str:
        """Without a status, Strapi publishes what it is given."""
        return f"{path}?status={self._options.status}"

    def _doubles(self, found: Sequence[str]) -> list[str]:
        if len(found) < 2:
            return []
        return [
            f"the entries {', '.join(found[1:])} have the same {self._options.key_field}: are they copies?"
        ]


def _document(answer: Any) -> str:
    data = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(data, Mapping) or "documentId" not in data:
        raise DeliveryFailed(
            "Strapi made the entry, but does not say its documentId: is it Strapi 5?", refused=True
        )
    return str(data["documentId"])
