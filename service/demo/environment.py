"""What the demo's processes are told: a home of their own, the emulator, and schedules of seconds."""

import socket
from collections.abc import Mapping
from contextlib import ExitStack

from service.demo.folder import DemoFolder
from service.settings import Settings, variable

EMULATOR_KEY = "emulator-key"
STORY_SECONDS = 2

_SHORTENED = {
    "poll_first_seconds": "5",
    "poll_min_seconds": "2",
    "poll_max_seconds": "4",
    "poll_rate": "10",
    "poll_batch": "4",
    "sweep_seconds": "0.5",
    "retry_schedule": "1,1,1,2",
    "not_ready_schedule": "1,1,2,3",
    "stop_grace_seconds": "5",
    "web_concurrency": "1",
}


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 on which nobody listens just now."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


def environment(
    ambient: Mapping[str, str], folder: DemoFolder, web_port: int, emulator_port: int
) -> dict[str, str]:
    """The ambient environment without anybody's own settings and proxies, and with the demo's settings."""
    foreign = {variable(field) for field in Settings.model_fields}
    kept = {
        name: value
        for name, value in ambient.items()
        if name not in foreign and not name.lower().endswith("_proxy")
    }
    own = {
        "home": str(folder.path),
        "port": str(web_port),
        "story_api_url": f"http://127.0.0.1:{emulator_port}",
        "story_api_key": EMULATOR_KEY,
        **_SHORTENED,
    }
    return kept | {variable(field): value for field, value in own.items()}


def emulator_arguments(port: int) -> list[str]:
    """What `storyrelay emulator` is started with."""
    return [
        "emulator", "--port", str(port), "--key", EMULATOR_KEY,
        "--story-seconds", str(STORY_SECONDS), "--short-side", "240", "--webhook-pause", "1",
    ]  # fmt: skip
