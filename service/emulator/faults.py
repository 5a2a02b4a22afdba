"""What can go wrong on purpose, for one story or by chance for any."""

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

NUMBER = "number"
TEXT = "text"


@dataclass(frozen=True)
class FaultKind:
    """A fault that can be asked for; `default` is its value where none is given."""

    name: str
    value: str
    default: str
    meaning: str


KINDS: Mapping[str, FaultKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            FaultKind("webhook-never", NUMBER, "1", "no webhook is sent"),
            FaultKind("webhook-twice", NUMBER, "2", "the webhook is sent this many times at once"),
            FaultKind("webhook-late", NUMBER, "3", "the webhook comes this many seconds late"),
            FaultKind("webhook-early", NUMBER, "1", "the webhook comes before the submission is answered"),
            FaultKind("webhook-out-of-order", NUMBER, "1", "a processing webhook follows the success one"),
            FaultKind("webhook-flat", NUMBER, "1", "the webhook's fields lie open (as without any fault)"),
            FaultKind("webhook-data", NUMBER, "1", "the webhook's fields lie under data"),
            FaultKind("webhook-story", NUMBER, "1", "the webhook carries the whole story"),
            FaultKind("webhook-text", NUMBER, "1", "the webhook says that it is text/plain"),
            FaultKind("video-url-late", NUMBER, "2", "success comes this many seconds before video_url"),
            FaultKind("video-url-expires", NUMBER, "1", "video_url answers 403 after this many seconds"),
            FaultKind("video-url-downloads", NUMBER, "1", "video_url answers 410 after this many downloads"),
            FaultKind("api-burst", NUMBER, "3", "the next this many GETs of the story get 429 or 500"),
            FaultKind(
                "api-error", NUMBER, "1", "a call of the API gets 500 and does nothing (by chance only)"
            ),
            FaultKind("download-cut", NUMBER, "1", "the first this many downloads break off half-way"),
            FaultKind("video-cut", NUMBER, "1", "a truncated file is served as if it were whole"),
            FaultKind("video-corrupt", NUMBER, "1", "a block of the file is zeroes"),
            FaultKind("fail", TEXT, "the scenes could not be made", "the story fails with this message"),
            FaultKind("unknown", NUMBER, "1", "the story is accepted, and then unknown"),
            FaultKind("submit-timeout", NUMBER, "1", "the story is made, its submission never answered"),
            FaultKind("submit-500", NUMBER, "1", "the submission gets 500; 1: nothing is made, 2: it is"),
        )
    }
)

_NAMES = "|".join(sorted(KINDS, key=len, reverse=True))
_SEPARATOR = re.compile(rf"[,\s]+(?=(?:{_NAMES})(?:[=,\s]|$))")
_MARKER = re.compile(r"\[fault:([^\[\]]{1,500})\]", re.IGNORECASE)
_AFTER = re.compile(r"after[- ]?(\d+)")


class BadFault(ValueError):
    """A fault that does not exist, or a value that does not fit; the message names what does."""


@dataclass(frozen=True)
class Faults:
    """The faults of one story."""

    values: Mapping[str, str] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def number(self, name: str) -> float:
        """The value of a fault, 0 where the story has it not."""
        return float(self.values.get(name, "0"))

    def text(self, name: str) -> str:
        """The value of a fault as it was written, empty where the story has it not."""
        return self.values.get(name, "")

    def beside(self, others: "Faults") -> "Faults":
        """Both sets together; ours win."""
        return Faults({**others.values, **self.values})


def parse_faults(text: str) -> Faults:
    """Reads `webhook-never, video-cut` or `webhook-late=3 fail=no picture today`; raises BadFault."""
    parts = (part.strip() for part in _SEPARATOR.split(text.strip()))
    return Faults(dict(_fault(*_halves(part, "=")) for part in parts if part))


def _halves(part: str, between: str) -> tuple[str, str]:
    name, _, value = part.partition(between)
    return name.strip().lower(), value.strip()


def _fault(name: str, value: str) -> tuple[str, str]:
    if name not in KINDS:
        raise BadFault(f"no fault {name[:40]!r}: there are {', '.join(KINDS)}")
    kind = KINDS[name]
    if name == "video-url-expires" and (after := _AFTER.fullmatch(value)):
        return "video-url-downloads", after[1]
    if kind.value == NUMBER and value and not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", value):
        raise BadFault(f"fault {name}: {value[:40]!r} is not a number")
    return name, value or kind.default


def split_markers(idea: str) -> tuple[str, Faults]:
    """Cuts markers such as `[fault:webhook-late=3 video-url-late=2]` out of an idea; raises BadFault."""
    faults = Faults()
    for found in _MARKER.findall(idea):
        faults = parse_faults(found).beside(faults)
    return " ".join(_MARKER.sub(" ", idea).split()), faults


@dataclass(frozen=True)
class Chance:
    """A fault that any story gets with a probability (0 to 1)."""

    name: str
    value: str
    probability: float


def parse_chances(chances: Mapping[str, float]) -> tuple[Chance, ...]:
    """Reads {"webhook-never": 0.3, "webhook-late:3": 0.2}; raises BadFault."""
    return tuple(_chance(name, probability) for name, probability in chances.items())


def _chance(name: str, probability: float) -> Chance:
    if not 0 <= probability <= 1:
        raise BadFault(f"fault {name[:40]}: a probability is from 0 to 1, not {probability}")
    return Chance(*_fault(*_halves(name, ":")), probability)


def roll(chances: Iterable[Chance], dice: random.Random) -> Faults:
    """The faults that one story gets."""
    return Faults({c.name: c.value for c in chances if dice.random() < c.probability})
