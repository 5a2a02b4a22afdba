"""The emulator as a server of its own, in this process."""

import socket
import threading
from collections.abc import Mapping
from types import TracebackType

from werkzeug.serving import WSGIRequestHandler, make_server

from service.emulator.app import Emulation, create_app
from service.emulator.films import film_sha256
from service.emulator.options import EmulatorOptions
from service.emulator.reports import Call, StoryReport, report_stories

POLL_SECONDS = 0.05


class EmulatorServer:
    """An emulator at `url`, from `start` (or `with`) to `stop`.

    Port 0 takes a free one. The constructor raises OSError where the address cannot be had, BadFault for a
    fault that does not exist.
    """

    def __init__(
        self, options: EmulatorOptions | None = None, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.options = options or EmulatorOptions()
        app = create_app(self.options)
        self._emulation: Emulation = app.extensions["emulation"]
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, port), family=family, backlog=128) as listener:
            self._port = listener.getsockname()[1]
            self._server = make_server(
                host, self._port, app, threaded=True, request_handler=_QuietHandler, fd=listener.fileno()
            )
        self._host = f"[{host}]" if ":" in host else host
        self._thread = threading.Thread(target=self._serve, name="emulator", daemon=True)

    @property
    def url(self) -> str:
        """Where the API is, without a slash at the end."""
        return f"http://{self._host}:{self._port}"

    @property
    def key(self) -> str:
        """The first of the API keys."""
        return self.options.keys[0]

    @property
    def stories(self) -> tuple[StoryReport, ...]:
        """Every story, the oldest first, with its webhooks and their answers."""
        return report_stories(self._emulation.studio)

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every request that was answered, the oldest first."""
        return tuple(self._emulation.calls)

    def story(self, story_id: str) -> StoryReport:
        """One story; raises KeyError."""
        for report in self.stories:
            if report.id == story_id:
                return report
        raise KeyError(story_id)

    def video_sha256(self, story_id: str) -> str:
        """The SHA-256 of the story's newest video as it should arrive; raises LookupError where there is none."""
        return film_sha256(self._emulation.studio.stories[story_id].films[-1])

    def set_faults(self, chances: Mapping[str, float]) -> None:
        """Sets the chance of each fault from now on, e.g. {"webhook-never": 0.3}; raises BadFault."""
        self._emulation.studio.set_faults(chances)

    def start(self) -> "EmulatorServer":
        """Begins to answer."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends the server and all that it runs; a second time it does nothing."""
        if self._thread.ident is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._emulation.close()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=POLL_SECONDS)

    def __enter__(self) -> "EmulatorServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _QuietHandler(WSGIRequestHandler):
    """Leaves the log of requests to the app."""

    def log_request(self, *_: object, **__: object) -> None:
        """Nothing: the app has said it."""
