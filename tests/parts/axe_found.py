"""What keeps people out of a page: axe-core's findings in light, in dark and on a narrow screen."""

from collections.abc import Iterator

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

GRAVE = ("serious", "critical")
LOOKS = (("light", 1200), ("dark", 1200), ("light", 400))
WIDE, HIGH = 1200, 900
_RUN = "() => axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)"
_TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def look(page: Page, path: str) -> list[str]:
    """Opens the path; says what is wrong with it, in each way of looking at it."""
    page.set_viewport_size({"width": WIDE, "height": HIGH})
    page.goto(path)
    found = look_here(page)
    return [f"{path}, {finding}" for finding in found]


def look_here(page: Page) -> list[str]:
    """The same for what the page shows just now."""
    page.evaluate(AXE_SCRIPT)
    found = [f"{scheme} {width}: {what}" for scheme, width in LOOKS for what in _seen(page, scheme, width)]
    page.set_viewport_size({"width": WIDE, "height": HIGH})
    page.emulate_media(color_scheme="light")
    return found


def _seen(page: Page, scheme: str, width: int) -> Iterator[str]:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": HIGH})
    for violation in page.evaluate(_RUN):
        if violation["impact"] in GRAVE:
            for node in violation["nodes"]:
                yield f"{violation['id']}: {node['html'][:160]} ({node['failureSummary'][:300]})"
    over = page.evaluate(_TOO_WIDE)
    if over > 0:
        yield f"the page is {over} px wider than the screen"
