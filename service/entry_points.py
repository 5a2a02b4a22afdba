"""What distributions add to this one under the name of a group."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType


@cache  # each look reads the metadata of every distribution that is installed: 5 ms
def installed(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of the group by name, as they were at this process's first look."""
    return MappingProxyType({point.name: point for point in entry_points(group=group)})
