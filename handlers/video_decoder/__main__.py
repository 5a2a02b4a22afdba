"""`python -m handlers.video_decoder`: one order as JSON on standard input, one answer as JSON on standard output."""

import json
import resource
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from handlers.video_decoder.checking import check
from handlers.video_decoder.facts import Answer, Order, PosterOrder, VideoFacts, VideoLimits, VideoRefused
from handlers.video_decoder.picture import draw_poster

_OPEN_FILES = 32


def main() -> None:
    """Answer the order; a refusal is an answer, anything else unexpected ends with a traceback and status 1."""
    order = _order(json.load(sys.stdin))
    _limit(order.limits)
    try:
        answer = _work(order)
    except VideoRefused as refusal:
        answer = Answer(refused=refusal.reason, cut=refusal.cut)
    except MemoryError:
        answer = Answer(refused=f"looking at it needs more than {order.limits.memory_bytes / 2**20:,.0f} MiB")
    json.dump(asdict(answer), sys.stdout)


def _work(order: Order) -> Answer:
    facts = order.facts or check(order.path, order.limits)
    answer = Answer(facts=facts)
    if order.poster is None:
        return answer
    try:
        return replace(answer, poster=draw_poster(order.path, facts, order.poster, order.limits))
    except VideoRefused as refusal:
        return replace(answer, no_poster=refusal.reason)


def _limit(limits: VideoLimits) -> None:
    """Bound what hostile input can take; the soft processor limit ends the process by SIGXCPU."""
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.max_poster_bytes, limits.max_poster_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere the address space can't be limited
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))


def _order(raw: dict[str, Any]) -> Order:
    poster, facts = raw["poster"], raw["facts"]
    return Order(
        path=Path(raw["path"]),
        limits=VideoLimits(**raw["limits"]),
        facts=VideoFacts(**facts) if facts else None,
        poster=PosterOrder(**{**poster, "target": Path(poster["target"])}) if poster else None,
    )


if __name__ == "__main__":
    main()
