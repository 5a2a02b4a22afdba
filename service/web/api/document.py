"""The OpenAPI document, made from the calls themselves."""

import json
from typing import Any

from flask_openapi.models.info import Info
from flask_openapi.openapi import OpenAPI

from service.domain.api_tokens import MEANINGS

INFO = Info(
    title="Storyrelay",
    version="1",
    description=(
        "Every call takes a bearer token with the scope that it names: "
        + "; ".join(f"`{scope}`: {meaning}" for scope, meaning in MEANINGS.items())
        + ". Errors are problem documents (RFC 9457). Lists are pages: `next` goes into `after`."
    ),
)
SECURITY: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "Of `storyrelay token add`: srt_…"}
}


def document(app: OpenAPI) -> dict[str, Any]:
    """The whole document."""
    made: dict[str, Any] = app.api_doc
    made["openapi"] = "3.1.0"  # what the schemas are written in, and the tools of today read
    for schema in made["components"]["schemas"].values():
        schema.pop("$defs", None)  # they stand beside it already
    return made


def written(app: OpenAPI) -> str:
    """The document as it is committed."""
    return json.dumps(document(app), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
