"""A real Chromium, driven by Playwright; Debian's package, or whatever CHROMIUM names."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
APT = (
    ["apt-get", "update", "-qq"],
    ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium"],
)


class NotHere(Exception):
    """This machine has no Chromium; says how to get one."""


def program() -> str:
    """Where Chromium is. Raises NotHere."""
    named = os.environ.get("CHROMIUM")
    for name in (named,) if named else NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    if named:
        raise NotHere(f"CHROMIUM is {named}, and there is no such program")
    raise NotHere(
        "these tests need Chromium: apt-get install chromium, or name another by CHROMIUM=/path/to/it"
    )


@contextmanager
def chromium() -> Iterator[Browser]:
    """Runs it without a window. Raises NotHere."""
    with sync_playwright() as playwright:
        # root, as in most containers, may use no sandbox of Chromium's
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(
            executable_path=program(), args=[*flags, "--autoplay-policy=no-user-gesture-required"]
        )
        try:
            yield browser
        finally:
            browser.close()


def install() -> None:
    """Has apt-get install Chromium where it is missing and this is root. Raises NotHere."""
    try:
        program()
    except NotHere:
        if os.environ.get("CHROMIUM") or os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise
        for command in APT:
            subprocess.run(command, check=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        program()


if __name__ == "__main__":
    try:
        install()
    except NotHere as error:
        raise SystemExit(f"{error}") from None
