"""The seam between the service and the places it publishes to: connectors are found by entry point."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Protocol, cast

from pydantic import BaseModel

from service.domain.approvals import Question
from service.domain.delivery import Notice, PreviewPart, Publication, Published, Withdrawal
from service.domain.progress import Progress
from service.domain.rates import Rate
from service.entry_points import installed
from service.outbound_http import HttpClient

GROUP = "storyrelay.connectors"


def _unpaced() -> None:
    """Where no rate is set."""


@dataclass(frozen=True)
class ConnectorTools:
    """What every connector may use: its destination's name, the outbound HTTP seam (the operator's own
    addresses, so unfiltered), the folder that relative paths in the settings mean, and the clock (UTC).

    `pace` takes a token of the destination's rate, which all workers share, and waits for it if it must: call it
    before each call that the place counts, but the first of a publication, whose token is taken already.
    It raises DeliveryFailed with `retry_after` where the wait would be long.
    """

    destination: str
    http: HttpClient
    base: Path
    now: Callable[[], datetime]
    pace: Callable[[], None] = _unpaced


class Connector(Protocol):
    """The code for one kind of place. `service.connector_contract` tests what is said here.

    Every method raises `DeliveryFailed` and nothing else for what the place or the network does.
    An instance lives for one step in one process; it may keep connections for that long. Making one reaches no
    other machine, and raises `DeliveryFailed` for a template that is broken: all are made once at start.
    """

    Options: ClassVar[type[BaseModel]]
    """The destination's options, checked at start; forbids unknown names; secrets are SecretStr."""

    def __init__(self, options: BaseModel, tools: ConnectorTools) -> None: ...

    def publish(self, publication: Publication) -> Published:
        """Puts the story there, once: looks for what an earlier attempt made before it creates."""

    def withdraw(self, withdrawal: Withdrawal) -> Published:
        """Takes the story back: unpublishes or deletes it. A permanent `DeliveryFailed` where that can't be done."""

    def preview(self, publication: Publication) -> Sequence[PreviewPart]:
        """What `publish` would send, without reaching the place: its texts, as the place would get them."""

    def notify(self, notice: Notice) -> Published:
        """Tells the people who watch this place."""

    def check(self) -> str:
        """Logs in without a lasting effect and says as whom and where, for `storyrelay doctor`."""

    def send_test(self) -> Published:
        """Makes something harmless, marked as a test."""


class Paced(Protocol):
    """What a connector's class may say beside: how often its place may be called.

    It holds where the destination has no `rate` of its own. A class without it has no limit.
    """

    default_rate: ClassVar[Rate | None]


class Progressive(Protocol):
    """What a connector may do beside: show how stories get on, where its options say `progress = true`."""

    def show_progress(self, progress: Progress) -> Published:
        """Shows it once, changes what it showed before, and says each line once.

        `publish` finds what was shown by the reference, or by `key`, and puts the finished story in its place.
        """


class Silent(Protocol):
    """What a connector's class may say beside: that `notify` is refused for good, for its place has readers only."""

    notifies: ClassVar[bool]


class Asking(Protocol):
    """What a connector may do beside: ask people whether a story may go on to other destinations."""

    def ask(self, question: Question) -> Published:
        """Asks once, reminds once where a reminder is due, and shows how it ended, where it can."""


class Territorial(Protocol):
    """What a connector may say beside: where it writes, when no other destination may write there as well."""

    @property
    def territory(self) -> str:
        """The same text for the same place, for people to read; holds no secret."""


class UnknownConnector(LookupError):
    """No connector of that name is installed; the message names the nearest and all there are."""


def connector_class(name: str) -> type[Connector]:
    """Returns the class that is registered as `name` under the entry-point group `storyrelay.connectors`.

    Raises UnknownConnector.
    """
    found = installed(GROUP)
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownConnector(f"no connector {name!r}: {hint}there are {', '.join(sorted(found))}")
    loaded: type[Connector] = found[name].load()
    return loaded


def default_rate(connector: type[Connector]) -> Rate | None:
    """How often the connector's place may be called, by `Paced`; None: as often as there is work."""
    return cast("type[Paced]", connector).default_rate if hasattr(connector, "default_rate") else None


def shows_progress(connector: type[Connector], options: BaseModel) -> bool:
    """Whether a destination with these options is to show how stories get on, by `Progressive`."""
    return hasattr(connector, "show_progress") and bool(getattr(options, "progress", False))


def territory(connector: Connector) -> str | None:
    """Where no other destination may write, by `Territorial`; None: there is no such place."""
    return cast("Territorial", connector).territory if hasattr(connector, "territory") else None


def progressive(connector: Connector) -> Progressive | None:
    """The connector as one that shows progress, None where it can't."""
    return cast("Progressive", connector) if hasattr(connector, "show_progress") else None


def asking(connector: Connector) -> Asking | None:
    """The connector as one that asks people, None where it can't."""
    return cast("Asking", connector) if can_ask(type(connector)) else None


def can_ask(connector: type[Connector]) -> bool:
    """Whether a connector can ask people."""
    return hasattr(connector, "ask")


def can_notify(connector: type[Connector]) -> bool:
    """Whether a connector can tell people of trouble, by `Silent`."""
    return bool(getattr(connector, "notifies", True))
