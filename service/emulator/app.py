"""The emulator as a Flask app."""

import dataclasses
import ipaddress
import re
import time
from collections import deque
from datetime import UTC, datetime
from urllib.parse import urlsplit

from flask import Flask, Response, g, jsonify, request
from pydantic import RootModel, ValidationError
from werkzeug.exceptions import HTTPException

from service.emulator.faults import KINDS, BadFault
from service.emulator.held import HeldConnections
from service.emulator.options import EmulatorOptions
from service.emulator.refusals import InvalidBody, Refusal, bad_request, invalid_body
from service.emulator.reports import Call, report_stories
from service.emulator.studio import Studio
from service.emulator.web_api import StoryCalls
from service.emulator.web_media import Media

MOST_BODY = 1 << 20
MOST_CALLS = 100_000


class Emulation:
    """What stands behind an app: found as `app.extensions["emulation"]`."""

    def __init__(self, options: EmulatorOptions) -> None:
        self.studio = Studio(options)
        self.held = HeldConnections()
        self.calls: deque[Call] = deque(maxlen=MOST_CALLS)

    def close(self) -> None:
        """Ends what runs in the background."""
        self.held.close()
        self.studio.close()


def create_app(options: EmulatorOptions) -> Flask:
    """The whole V2 API, its media, and `/_emulator/…` to look behind it; raises BadFault.

    `app.extensions["emulation"].close()` ends its threads.
    """
    app = Flask("story-api-emulator", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has it
    emulation = Emulation(options)
    app.extensions["emulation"] = emulation
    StoryCalls(emulation.studio, emulation.held).mount(app)
    Media(emulation.studio).mount(app)
    Control(emulation.studio).mount(app)
    _answer_errors(app)
    _record_calls(app, emulation)
    app.before_request(_keep_web_pages_out)
    return app


class Control:
    """Calls of the emulator's own, beside the API's."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def mount(self, app: Flask) -> None:
        """Adds them to an app."""
        app.add_url_rule("/_emulator/stories", "stories", self.stories)
        app.add_url_rule("/_emulator/faults", "faults", self.faults)
        app.add_url_rule("/_emulator/faults", "set_faults", self.set_faults, methods=["POST"])

    def stories(self) -> Response:
        """Every story with its webhooks and their answers."""
        return jsonify([dataclasses.asdict(report) for report in report_stories(self._studio)])

    def faults(self) -> Response:
        """The faults by chance, and all there are."""
        meanings = {kind.name: kind.meaning for kind in KINDS.values()}
        return jsonify({"faults": self._studio.chances(), "known": meanings})

    def set_faults(self) -> Response:
        """Sets the faults by chance: `{"webhook-never": 0.3, "webhook-late:3": 0.2}`."""
        try:
            self._studio.set_faults(RootModel[dict[str, float]].model_validate_json(request.get_data()).root)
        except ValidationError as error:
            raise invalid_body(error) from None
        except BadFault as error:
            raise bad_request(str(error)) from None
        return self.faults()


def _keep_web_pages_out() -> None:
    """Takes orders only by address, and only as JSON: a web page in a browser of this machine can do neither."""
    if not request.path.startswith("/_emulator/"):
        return
    host = urlsplit(f"//{request.host}").hostname or ""
    if host != "localhost" and not _is_address(host):
        raise bad_request("the control calls are there under the emulator's address only, not under a name")
    if request.method == "POST" and request.mimetype != "application/json":
        raise bad_request("send Content-Type: application/json")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _answer_errors(app: Flask) -> None:
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(InvalidBody, _invalid)
    app.register_error_handler(HTTPException, _http_error)


def _refused(refusal: Refusal) -> Response:
    answer = jsonify(refusal.body())
    answer.status_code = refusal.status
    answer.headers.extend(refusal.headers)
    return answer


def _invalid(invalid: InvalidBody) -> Response:
    answer = jsonify(invalid.body())
    answer.status_code = 422
    return answer


def _http_error(error: HTTPException) -> Response:
    code = re.sub(r"\W+", "_", error.name).upper()
    return _refused(Refusal(error.code or 500, code, error.description or error.name))


def _record_calls(app: Flask, emulation: Emulation) -> None:
    def begin() -> None:
        g.began = time.monotonic()

    def record(answer: Response) -> Response:
        took = time.monotonic() - g.began
        call = Call(datetime.now(UTC), request.method, request.path, answer.status_code, took)
        emulation.calls.append(call)
        emulation.studio.options.log(
            f"{call.method} {call.path} → {call.status}, {round(took * 1000)} ms" + _about(request.path)
        )
        return answer

    app.before_request(begin)
    app.after_request(record)


def _about(path: str) -> str:
    """Names the story of a submission, whose path does not."""
    story_id = g.get("story")
    return f", story {story_id}" if story_id and story_id not in path else ""
