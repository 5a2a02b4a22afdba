"""Finds destinations that would wait for each other for ever."""

import graphlib
from collections.abc import Iterator, Mapping


def circles(leads_to: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Yields one circle for each group of names that lead to each other, each name once, in their order.

    A name may lead to others that are no keys.
    """
    left = {name: set(others) for name, others in leads_to.items()}
    while found := _circle(left):
        start = found.index(min(found, key=list(leads_to).index))
        yield (*found[start:], *found[:start])
        left = {name: others - set(found) for name, others in left.items() if name not in found}


def _circle(leads_to: Mapping[str, set[str]]) -> tuple[str, ...]:
    try:
        graphlib.TopologicalSorter(leads_to).prepare()
    except graphlib.CycleError as error:
        return tuple(
            reversed(error.args[1][1:])
        )  # it names the first one twice, and each after what it leads to
    return ()
