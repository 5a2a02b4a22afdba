"""`doctor`: looks at everything and says what to do."""

from collections.abc import Iterator
from typing import Any

import click
from rich.text import Text

from service.cli.findings import Finding, Status, fail, ok, warn
from service.cli.machine_checks import (
    check_keys,
    check_lanes,
    check_public_url,
    check_queue,
    check_scheduler,
    check_store,
    check_the_ledger,
)
from service.cli.notice_checks import check_notices
from service.cli.output import counted, note, plain_lines, show, show_json, table, word
from service.cli.remote_checks import check_destinations, check_story_api
from service.cli.route_checks import check_routes
from service.cli.session import quiet_log
from service.cli.trouble_checks import check_troubles
from service.cli.writing import unwritable
from service.configuration import Configuration, ConfigurationError, load_configuration
from service.settings import Settings, SettingsError, load_settings
from service.wiring import assemble, queue_settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def doctor(as_json: bool) -> None:
    """Check settings, ledger, queue, processes, Story API, destinations and store; say what to do.

    Exit code 1 when something holds stories up.
    """
    findings = list(_look())
    failed = any(finding.status == Status.FAIL for finding in findings)
    if as_json:
        show_json({"ok": not failed, "checks": [_json(finding) for finding in findings]})
    else:
        show(table(("", "part", "found", "what to do"), map(_cells, findings)))
        note("something holds stories up" if failed else "nothing holds stories up")
    click.get_current_context().exit(1 if failed else 0)


def _look() -> Iterator[Finding]:
    try:
        settings = queue_settings()
    except SettingsError as error:
        yield fail("settings", str(error), "set the variables right; the README lists them all")
        return
    quiet_log(settings)
    yield ok("settings", f"home is {settings.home}")
    try:
        configuration = load_configuration(settings)
    except ConfigurationError as error:
        yield fail("configuration", str(error), f"mend {settings.config_path}")
        yield from _look_closer(settings, None)
        return
    yield _configuration(settings, configuration)
    yield from check_routes(configuration)
    yield from check_notices(configuration)
    yield from _look_closer(settings, configuration)


def _look_closer(settings: Settings, configuration: Configuration | None) -> Iterator[Finding]:
    try:
        relay = assemble(settings, configuration or Configuration())
    except OSError as error:  # the folder of the ledger can't be made
        yield fail(
            "ledger", unwritable(error), "then run `storyrelay doctor` again: the rest was not looked at"
        )
        return
    yield from check_keys(settings)
    yield from check_public_url(settings)
    ledger = list(check_the_ledger(relay))
    yield from ledger
    yield from check_queue(relay, is_set=load_settings().redis_url is not None)
    if all(finding.status == Status.OK for finding in ledger):
        yield from check_scheduler(relay)
        yield from check_lanes(relay)
        yield from check_troubles(relay)
    yield from check_store(relay)
    yield from check_story_api(relay)
    yield from [_unread(settings)] if configuration is None else check_destinations(relay)
    relay.ledger.close()


def _unread(settings: Settings) -> Finding:
    return warn(
        "destinations",
        f"not looked at, for {settings.config_path} is broken: see configuration, above",
        f"mend {settings.config_path}, then look again",
    )


def _configuration(settings: Settings, configuration: Configuration) -> Finding:
    if not settings.config_path.exists():
        return warn(
            "configuration", f"there is no {settings.config_path}", "write destinations and routes into it"
        )
    counts = f"{counted(len(configuration.destinations), 'destination')}, {counted(len(configuration.routes), 'route')}"
    return ok("configuration", f"{settings.config_path}: {counts}")


def _cells(finding: Finding) -> tuple[Any, ...]:
    return word(finding.status), finding.part, Text(plain_lines(finding.text)), finding.advice


def _json(finding: Finding) -> dict[str, str | None]:
    return {
        "part": finding.part,
        "status": finding.status,
        "text": finding.text,
        "advice": finding.advice or None,
    }
