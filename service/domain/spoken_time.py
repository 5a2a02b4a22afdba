"""Says how long something lasted."""

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))


def lasted(seconds: float) -> str:
    """The span in its two largest units, such as "1 hour 5 minutes"; less than a minute is said as such."""
    left = int(seconds)
    parts = []
    for size, name in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}" if count == 1 else f"{count} {name}s")
    return " ".join(parts[:2]) or "less than a minute"
