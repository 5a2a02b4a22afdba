"""The channels of the Slack stand-in: which there are, and which the bot may write to."""

from collections.abc import Iterator

from service.stand_ins.slack_shapes import (
    Answer,
    Arguments,
    SlackError,
    is_true,
    needed,
    next_cursor,
    page_start,
)

ABSENT, ARCHIVED = "!", "-"


class Channels:
    """Public channels by name: `!` before those that the bot is not in, `-` before those that are archived."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = {f"C0STANDIN{n:02}": name for n, name in enumerate(names)}

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def name(self, id_: str) -> str:
        """The channel's name, without `#`."""
        return self._names[id_].lstrip(ABSENT + ARCHIVED)

    def readable(self, wanted: str) -> str:
        """The id of a channel that the bot is in; takes an id or a name, with or without `#`."""
        for id_, given in self._names.items():
            if wanted == id_ or wanted.removeprefix("#") == self.name(id_):
                if given.startswith(ABSENT):
                    raise SlackError("not_in_channel")
                return id_
        raise SlackError("channel_not_found")

    def writable(self, wanted: str) -> str:
        """The id of a channel that the bot may write to."""
        id_ = self.readable(wanted)
        if self._names[id_].startswith(ARCHIVED):
            raise SlackError("is_archived")
        return id_

    def list(self, arguments: Arguments) -> Answer:
        """conversations.list, by pages."""
        start, limit = page_start(arguments), int(arguments.get("limit", 100))
        archived = not is_true(arguments.get("exclude_archived"))
        ids = [one for one, name in self._names.items() if archived or not name.startswith(ARCHIVED)]
        more = len(ids) > start + limit
        return {
            "ok": True,
            "channels": [self._shape(one) for one in ids[start : start + limit]],
            "response_metadata": {"next_cursor": next_cursor(start + limit) if more else ""},
        }

    def info(self, arguments: Arguments) -> Answer:
        """conversations.info."""
        wanted = needed(arguments, "channel")
        if wanted not in self._names:
            raise SlackError("channel_not_found")
        return {"ok": True, "channel": self._shape(wanted)}

    def _shape(self, id_: str) -> Answer:
        given = self._names[id_]
        return {
            "id": id_,
            "name": self.name(id_),
            "is_channel": True,
            "is_private": False,
            "is_member": given[0] != ABSENT,
            "is_archived": given[0] == ARCHIVED,
        }
