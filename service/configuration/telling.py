"""Makes of `[notices]` who is told of trouble, how often and when, and finds what is wrong with it."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from service.configuration.tables import DigestTable, NoticesTable, QuietTable
from service.domain.notices import Audience, Digest, Quiet
from service.domain.opening_hours import Hours, OpeningHours
from service.problems import Problem, hint

_AT = "notices"


def audience(table: NoticesTable) -> Audience:
    """As the table says; of a table with `telling_problems` not to be used."""
    return Audience(
        destinations=tuple(dict.fromkeys(table.destinations)),
        fallback=table.fallback,
        every=table.every,
        only=MappingProxyType({name: frozenset(kinds) for name, kinds in table.only.items()}),
        quiet=_quiet(table.quiet),
        digest=_digest(table.digest),
    )


def telling_problems(table: NoticesTable, declared: tuple[str, ...]) -> Iterator[Problem]:
    """What is wrong in the table beside its form, in a sentence each."""
    for at, names in _named(table).items():
        for name in names:
            if name not in declared:
                yield Problem(f"{_AT}.{at}", f"there is no destination {name[:80]!r}{hint(name, declared)}")
    for name in table.only:
        if name in declared and name not in table.destinations:
            yield Problem(f"{_AT}.only.{name}", f"hears nothing: {_AT}.destinations does not name {name!r}")
    if table.quiet is not None and table.quiet.start == table.quiet.end:
        yield Problem(f"{_AT}.quiet", "ends where it begins; to be told of nothing, name no destinations")


def _named(table: NoticesTable) -> Mapping[str, tuple[str, ...]]:
    return {
        "destinations": table.destinations,
        "fallback": () if table.fallback is None else (table.fallback,),
        "only": tuple(table.only),
        "digest.destinations": table.digest.destinations if table.digest is not None else (),
    }


def _quiet(table: QuietTable | None) -> Quiet | None:
    if table is None:
        return None
    start, end = (each.hour * 60 + each.minute for each in (table.start, table.end))
    return Quiet(OpeningHours(table.timezone, hours=(Hours(start, end),)), frozenset(table.loud))


def _digest(table: DigestTable | None) -> Digest | None:
    if table is None:
        return None
    names = tuple(dict.fromkeys(table.destinations))
    return Digest(table.at, table.timezone, names, table.when_empty == "say")
