"""Makes untrusted text fit for a message: one line, printable, without query strings, short."""

import re

_QUERY = re.compile(r"\?[^\s\"'<>]+")


def plain(text: str, length: int) -> str:
    """Returns `text` on one line of printable characters, at most `length` long.

    Query strings are cut out, for they carry signatures and tokens.
    """
    shown = "".join(character if character.isprintable() else " " for character in text[: 4 * length])
    shown = " ".join(_QUERY.sub("?…", shown).split())
    return shown if len(shown) <= length else shown[: length - 1] + "…"
