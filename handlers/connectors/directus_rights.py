"""What a Directus user lacks to publish, found without changing anything."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from handlers.connectors.directus_api import DirectusApi, DirectusRefused

_ACTIONS = ("create", "read", "update", "delete")
_FILES = "directus_files"


def missing(api: DirectusApi, collection: str, key_field: str, fields: Sequence[str]) -> list[str]:
    """What is to be mended, each as a sentence for people. Raises DeliveryFailed.

    Directus doesn't tell what is not there from what may not be seen.
    """
    rights = api.get("/permissions/me")
    lacking = [
        f"the token's user lacks the right to {action} in {name}"
        for name in (collection, _FILES)
        for action in _ACTIONS
        if _right(rights, name, action).get("access", "none") == "none"
    ]
    return lacking or [
        *_forbidden(rights, collection, [key_field, *fields]),
        *_absent(api, collection, [key_field, *fields]),
        *_not_unique(api, collection, key_field),
    ]


def _right(rights: Any, collection: str, action: str) -> Mapping[str, Any]:
    of_collection = rights.get(collection) if isinstance(rights, Mapping) else None
    one = of_collection.get(action) if isinstance(of_collection, Mapping) else None
    return one if isinstance(one, Mapping) else {}


def _forbidden(rights: Any, collection: str, fields: Sequence[str]) -> Iterator[str]:
    for action in ("create", "read", "update"):
        allowed = _right(rights, collection, action).get("fields") or []
        for name in fields:
            if "*" not in allowed and name not in allowed:
                yield f"the token's user lacks the right to {action} the field {name} of {collection}"


def _absent(api: DirectusApi, collection: str, fields: Sequence[str]) -> Iterator[str]:
    for name in fields:
        if _field(api, collection, name) is None:
            yield f"{collection} has no field {name}, or the token's user may not read it"


def _not_unique(api: DirectusApi, collection: str, key_field: str) -> Iterator[str]:
    schema = (_field(api, collection, key_field) or {}).get("schema")
    if isinstance(schema, Mapping) and not (schema.get("is_unique") or schema.get("is_primary_key")):
        yield f"make the field {key_field} of {collection} unique, so that no story can stand there twice"


def _field(api: DirectusApi, collection: str, name: str) -> Mapping[str, Any] | None:
    """One field: the list of all would need a right of its own. None where it is not there or not to be seen."""
    try:
        found = api.get(f"/fields/{collection}/{name}")
    except DirectusRefused as error:
        if error.code != "FORBIDDEN":
            raise
        return None
    return found if isinstance(found, Mapping) else None
