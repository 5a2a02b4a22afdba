"""Who may do what on the dashboard."""

import re
from dataclasses import dataclass
from enum import StrEnum

SHORTEST_PASSWORD = 12
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)


class Role(StrEnum):
    """What a person may do; each may also do what the ones before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def may(self, needed: "Role") -> bool:
        """Whether this role is enough where `needed` is asked for."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True)
class Person:
    """An account. `epoch` is raised to end all of its sessions."""

    id: int
    name: str
    role: Role
    epoch: int


@dataclass(frozen=True)
class Doer:
    """Who does something: an account's name, a token's, or "shell" for the command line; and from which address."""

    name: str
    remote: str = ""


SHELL = Doer("shell")
"""Whoever may run commands on this machine."""


def check_account_name(name: str) -> str:
    """Returns a good name; raises ValueError, which says what one is."""
    if not _NAME.fullmatch(name):
        raise ValueError("a name has 1 to 64 letters, digits, . _ @ + or -, the first a letter or digit")
    return name


def check_password(password: str) -> str:
    """Returns a password that is long enough and not absurd; raises ValueError."""
    if len(password) < SHORTEST_PASSWORD:
        raise ValueError(f"a password has {SHORTEST_PASSWORD} characters or more")
    if len(password) > 1000:
        raise ValueError("a password has at most 1000 characters")
    return password
