"""Credits, by the table of the V2 page (its first example contradicts the table; the table is the rule)."""

ECONOMY = frozenset({"AutoT1", "PVideo", "VeoLite"})


def rate(video_tool: str) -> int:
    """Credits for a second of a scene; tools that only /videos knows have no price and count as standard."""
    return 5 if video_tool in ECONOMY else 10


def price(video_tool: str, scenes: int, seconds: int, *, native_audio: bool) -> int:
    """Credits for `scenes` scenes of `seconds` each."""
    return rate(video_tool) * scenes * seconds * (2 if native_audio else 1)
