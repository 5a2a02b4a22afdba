"""Checks blocks as Slack's Block Kit reference documents them: types, texts and their limits in characters."""

from collections.abc import Callable, Iterator
from typing import Any

MAX_BLOCKS = 50
TEXT = {"header": 150, "section": 3000, "field": 2000, "alt": 2000, "title": 2000, "url": 3000, "id": 255}

Problem = tuple[str, str]
"""What is wrong, and the JSON pointer below the block."""

FileKnown = Callable[[str], bool]
"""Says whether a Slack file of that id is an image that was uploaded and processed."""


def block_problems(blocks: Any, known: FileKnown) -> list[str]:
    """Returns what Slack would list under `errors` beside `invalid_blocks`; empty when the blocks are good."""
    if not isinstance(blocks, list):
        return ["must be an array [json-pointer:/blocks]"]
    if len(blocks) > MAX_BLOCKS:
        return [f"no more than {MAX_BLOCKS} items allowed [json-pointer:/blocks]"]
    return [
        f"{what} [json-pointer:/blocks/{place}{below}]"
        for place, block in enumerate(blocks)
        for what, below in _block(block, known)
    ]


def _block(block: Any, known: FileKnown) -> Iterator[Problem]:
    check = _CHECKS.get(str(block.get("type"))) if isinstance(block, dict) else None
    if check is None:
        yield "unsupported type", "/type"
        return
    if len(block.get("block_id", "")) > TEXT["id"]:
        yield "must be less than 256 characters", "/block_id"
    yield from check(block, known)


def _text(value: Any, limit: int, below: str, *, plain: bool = False) -> Iterator[Problem]:
    kinds = ("plain_text",) if plain else ("plain_text", "mrkdwn")
    if not isinstance(value, dict) or value.get("type") not in kinds:
        yield f"must be a {' or '.join(kinds)} object", below
        return
    text = value.get("text")
    if not isinstance(text, str) or not text:
        yield "must be more than 0 characters", f"{below}/text"
    elif len(text) > limit:
        yield f"must be less than {limit + 1} characters", f"{below}/text"
    if value["type"] == "plain_text" and "verbatim" in value:
        yield "verbatim is for mrkdwn only", below
    if value["type"] == "mrkdwn" and "emoji" in value:
        yield "emoji is for plain_text only", below


def _header(block: dict[str, Any], _: FileKnown) -> Iterator[Problem]:
    yield from _text(block.get("text"), TEXT["header"], "/text", plain=True)


def _section(block: dict[str, Any], _: FileKnown) -> Iterator[Problem]:
    fields = block.get("fields")
    if "text" in block or not fields:
        yield from _text(block.get("text"), TEXT["section"], "/text")
    if fields is not None and not 1 <= len(fields) <= 10:
        yield "must have 1 to 10 items", "/fields"
    for place, one in enumerate(fields or []):
        yield from _text(one, TEXT["field"], f"/fields/{place}")


def _context(block: dict[str, Any], known: FileKnown) -> Iterator[Problem]:
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= 10:
        yield "must have 1 to 10 items", "/elements"
        return
    for place, one in enumerate(elements):
        if one.get("type") == "image":
            yield from _image(one, known)
        else:
            yield from _text(one, TEXT["section"], f"/elements/{place}")


def _image(block: dict[str, Any], known: FileKnown) -> Iterator[Problem]:
    alt = block.get("alt_text")
    if not isinstance(alt, str) or not 1 <= len(alt) <= TEXT["alt"]:
        yield "must be 1 to 2000 characters", "/alt_text"
    if "title" in block:
        yield from _text(block["title"], TEXT["title"], "/title", plain=True)
    if ("image_url" in block) == ("slack_file" in block):
        yield "needs either image_url or slack_file", ""
    elif "slack_file" in block:
        if not known(block["slack_file"].get("id", "")):
            yield "invalid slack file", "/slack_file"
    elif not block["image_url"].startswith("https://") or len(block["image_url"]) > TEXT["url"]:
        yield "downloading image failed", "/image_url"


def _divider(_block: dict[str, Any], _: FileKnown) -> Iterator[Problem]:
    yield from ()


def _actions(block: dict[str, Any], _: FileKnown) -> Iterator[Problem]:
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= 25:
        yield "must have 1 to 25 items", "/elements"
        return
    names = [one.get("action_id") for one in elements]
    if len(set(names)) != len(names):
        yield "action_id already exists", "/elements"
    for place, one in enumerate(elements):
        for what, below in _button(one):
            yield what, f"/elements/{place}{below}"


def _button(one: dict[str, Any]) -> Iterator[Problem]:
    if one.get("type") != "button":
        yield "unsupported type", "/type"
        return
    yield from _text(one.get("text"), 75, "/text", plain=True)
    if len(one.get("action_id", "")) > TEXT["id"]:
        yield "must be less than 256 characters", "/action_id"
    if len(one.get("value", "")) > 2000:
        yield "must be less than 2001 characters", "/value"
    if len(one.get("url", "")) > TEXT["url"]:
        yield "must be less than 3001 characters", "/url"
    if one.get("style", "primary") not in ("primary", "danger"):
        yield "must be primary or danger", "/style"
    if "confirm" in one:
        yield from _confirmation(one["confirm"])


def _confirmation(confirm: dict[str, Any]) -> Iterator[Problem]:
    for part, limit in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
        yield from _text(confirm.get(part), limit, f"/confirm/{part}", plain=True)
    if confirm.get("style", "primary") not in ("primary", "danger"):
        yield "must be primary or danger", "/confirm/style"


_CHECKS = {
    "actions": _actions,
    "header": _header,
    "section": _section,
    "context": _context,
    "image": _image,
    "divider": _divider,
}
