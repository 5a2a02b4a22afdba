"""Reads the settings from an environment, and makes the keys that nobody set."""

import difflib
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from service.private_folder import make_private
from service.problems import Problem, problems_of
from service.settings.fields import PREFIX, Settings, variable
from service.settings.values import secret_keys_file

_BARE = {variable(field).removeprefix(PREFIX): variable(field) for field in Settings.model_fields}
_VARIABLES = frozenset(_BARE.values())


class SettingsError(Exception):
    """Some settings are wrong; the message names each variable, what is wrong and what would be right."""


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Returns the settings of this environment (None: the process's own); an empty variable counts as unset.

    SECRET_KEYS that are not set come from `var/secret_keys`, if that is there. Raises SettingsError.
    """
    given = {name: value for name, value in (os.environ if env is None else env).items() if value.strip()}
    problems = list(_unknown(given))
    try:
        settings = _read(given)
    except ValidationError as error:
        problems += problems_of(error, Settings)
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem("SECRET_KEYS", f"the keys' file can't be read: {error}"))
    if problems:
        raise SettingsError("wrong settings:\n" + "\n".join(f"  {problem}" for problem in problems))
    return settings


def make_secret_keys(home: Path) -> Path:
    """Makes `var/secret_keys` with one random key, readable by its owner alone; leaves one that is there.

    The file appears whole or not at all, so that processes that start at once agree. Raises OSError.
    """
    path = secret_keys_file(home)
    make_private(path.parent)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".secret_keys-") as draft:  # mode 0600
        draft.write(secrets.token_urlsafe(32) + "\n")
        draft.flush()
        os.fsync(draft.fileno())
        try:
            os.link(draft.name, path)
        except FileExistsError:
            return path
    _sync_folder(path.parent)
    return path


def _read(given: dict[str, str]) -> Settings:
    source = EnvSettingsSource(Settings)
    source.env_vars = given | _kept_keys(given)
    return Settings(**source())


def _kept_keys(given: Mapping[str, str]) -> dict[str, str]:
    path = secret_keys_file(Path(given.get(variable("home"), ".")))
    if "SECRET_KEYS" in given or not path.is_file():
        return {}
    return {"SECRET_KEYS": ",".join(path.read_text(encoding="utf-8").split())}


def _unknown(given: Mapping[str, str]) -> Iterator[Problem]:
    for name in sorted(given):
        if name.upper().startswith(PREFIX) and name not in _VARIABLES:
            yield Problem(name[:80], f"there is no such setting{_right_name(name)}")


def _right_name(name: str) -> str:
    bare = name.upper().removeprefix(PREFIX)
    near = difflib.get_close_matches(bare, _BARE, n=1)
    if near:
        return f" (did you mean {_BARE[near[0]]!r}?)"
    return f"; variables of your own must not start with {PREFIX}"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
