"""What a Strapi API token lacks to publish: each right is tried with a call that can't have an effect.

Strapi looks at the right first and at the content second, so that content which is none tells one from the other.
"""

from collections.abc import Callable
from functools import partial

from handlers.connectors.strapi_api import StrapiApi, StrapiRefused

_NOBODY = "storyrelay-check"
"""No document id: those have 24 letters and digits."""


def missing(api: StrapiApi, entries: str, key_field: str) -> list[str]:
    """What is to be mended, each as a sentence for people. Raises DeliveryFailed."""
    name = entries.removeprefix("/")
    attempts: dict[str, Callable[[], object]] = {
        f"find in {name}": partial(
            api.get, entries, {f"filters[{key_field}][$eq]": _NOBODY, "status": "draft"}
        ),
        f"create in {name}": partial(api.send, "POST", f"{entries}?status=draft", {}),
        f"update in {name}": partial(api.send, "PUT", f"{entries}/{_NOBODY}?status=draft", {}),
        f"delete in {name}": partial(api.delete, f"{entries}/{_NOBODY}"),
        "upload in Upload": partial(api.upload, [], 0),
        "find in Upload": partial(api.get, "/upload/files", {"filters[name][$eq]": _NOBODY}),
        "destroy in Upload": partial(api.delete, "/upload/files/0"),
    }
    return [fault for right, attempt in attempts.items() if (fault := _fault(right, attempt, key_field))]


def _fault(right: str, attempt: Callable[[], object], key_field: str) -> str:
    try:
        attempt()
    except StrapiRefused as error:
        if error.status == 403:
            return f"the API token lacks the right to {right}"
        if error.status == 400 and right.startswith("find"):
            return f"the field {key_field} can't be searched for: {error}"
        if error.status != 400:
            raise
    return ""
