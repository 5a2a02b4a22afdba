"""Slack's Web API, upload URLs and incoming webhooks over HTTP, with faults on demand."""

import hashlib
import json
import os
import re
import socket
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from service.stand_ins.slack_shapes import BOT, Answer, File, Message, SlackError
from service.stand_ins.slack_uploads import Uploads
from service.stand_ins.slack_workspace import Workspace

SCOPES = ("chat:write", "files:write", "files:read", "channels:read", "channels:history")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True)
class SlackFault:
    """What one call gets instead of its answer. `after_effect`: the call has its effect all the same.

    `error`: an `ok: false` of that code, by `status`; else a body that is no JSON. `retry_after`: the header.
    `drop`: no answer, the connection is cut. `hold`: no answer until the stand-in closes.
    """

    status: int = 200
    error: str = ""
    retry_after: str | None = None
    after_effect: bool = False
    drop: bool = False
    hold: bool = False


class SlackStandIn:
    """Listens on loopback while its `with` block is open.

    `token`: the one that is right; `scopes`: what it may do; `channels`: see `Channels`; `processing`: see `Uploads`;
    `folder`: gets the uploaded files. `limits`: how many calls of a method are answered in a minute.
    `calls` are the methods called so far with their arguments, without tokens; uploads count as `upload`.
    `login`: the code by which the right token is refused (`token_expired`, …), empty: it is good.
    """

    def __init__(
        self,
        *,
        token: str = "xoxb-stand-in",  # noqa: S107 (a stand-in has no secrets)
        scopes: tuple[str, ...] = SCOPES,
        channels: tuple[str, ...] = ("videos",),
        processing: int = 1,
        folder: Path | None = None,
        port: int = 0,
    ) -> None:
        self.workspace = Workspace(channels, Uploads(processing))
        self.login = ""
        self.limits: dict[str, int] = {}
        self._taken = defaultdict[str, list[float]](list)
        self.calls: list[tuple[str, Answer]] = []
        self.closing = threading.Event()
        self._token, self._scopes, self._folder = token, scopes, folder
        self._faults: defaultdict[str, deque[SlackFault]] = defaultdict(deque)
        self._server = make_server("127.0.0.1", port, self._wsgi, threaded=True, request_handler=_Quiet)
        self._root = f"http://127.0.0.1:{self._server.port}"
        self.api_url = f"{self._root}/api/"
        self.webhook_url = f"{self._root}/services/{BOT['team']}/{BOT['bot_id']}/right"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def messages(self) -> list[Message]:
        """What the channels show, replies in threads left out."""
        with self.workspace.lock:
            return [m for m in self.workspace.messages if not m.is_reply]

    @property
    def files(self) -> list[File]:
        """What was uploaded and completed, and is still there."""
        with self.workspace.lock:
            return [
                file for file in self.workspace.uploads.files.values() if file.completed and not file.deleted
            ]

    def replies(self, message: Message) -> list[Message]:
        """What is in the message's thread."""
        with self.workspace.lock:
            return [m for m in self.workspace.messages if m.is_reply and m.thread_ts == message.ts]

    def fail_next(self, method: str, fault: SlackFault, *, times: int = 1) -> None:
        """The next calls of `method` (also `upload` and `webhook`) get `fault`."""
        self._faults[method].extend([fault] * times)

    def _wsgi(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        kind, _, rest = request.path.strip("/").partition("/")
        answers = {"api": self._api, "upload": self._upload, "services": self._webhook}
        answer = answers.get(kind, _nothing)(request, rest)
        return answer(environ, start)

    def _api(self, request: Request, method: str) -> Response:
        wait = self._pause(method)
        if wait:
            answer = json.dumps({"ok": False, "error": "ratelimited"})
            return Response(answer, 429, {"Retry-After": str(wait)}, mimetype="application/json")
        arguments = _arguments(request)
        token = arguments.pop("token", "") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        return self._answered(request, method, arguments, lambda: self._called(method, token, arguments))

    def _pause(self, method: str) -> int:
        """Seconds till the method may be called again, 0: now."""
        with self.workspace.lock:
            now, taken = time.monotonic(), self._taken[method]
            taken[:] = [at for at in taken if at > now - 60]
            if len(taken) >= self.limits.get(method, 1_000_000):
                return max(1, round(taken[0] + 60 - now))
            taken.append(now)
            return 0

    def _answered(
        self, request: Request, method: str, arguments: Answer, act: Callable[[], Answer]
    ) -> Response:
        with self.workspace.lock:
            self.calls.append((method, arguments))
            faults = self._faults[method]
            fault = faults.popleft() if faults else None
            try:
                answer = act() if fault is None or fault.after_effect else {}
            except SlackError as error:
                answer = {"ok": False, "error": error.code, **error.beside}
        if fault is None:
            return Response(json.dumps(answer), headers=self._headers(), mimetype="application/json")
        return self._fails(request, fault)

    def _fails(self, request: Request, fault: SlackFault) -> Response:
        if fault.hold:
            self.closing.wait(60)
        if fault.drop or fault.hold:
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        body = json.dumps({"ok": False, "error": fault.error}) if fault.error else "<h1>It broke</h1>"
        headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
        return Response(
            body, fault.status, headers, mimetype="application/json" if fault.error else "text/html"
        )

    def _called(self, method: str, token: str, arguments: Answer) -> Answer:
        if not token:
            raise SlackError("not_authed")
        if token != self._token:
            raise SlackError("invalid_auth")
        if self.login:
            raise SlackError(self.login)
        if method not in _METHODS:
            raise SlackError("unknown_method", req_method=method)
        scope, act = _METHODS[method]
        if scope and scope not in self._scopes:
            raise SlackError("missing_scope", needed=scope, provided=",".join(self._scopes))
        return act(self, arguments)

    def who_am_i(self, _arguments: Answer) -> Answer:
        """auth.test."""
        ids = {"user_id": BOT["user"], "team_id": BOT["team"], "bot_id": BOT["bot_id"]}
        return {
            "ok": True,
            "url": "https://stand-in.slack.test/",
            "team": "Stand-in",
            "user": "storyrelay",
            **ids,
        }

    def upload_url(self, arguments: Answer) -> Answer:
        """files.getUploadURLExternal."""
        file = self.workspace.uploads.announce(arguments)
        return {"ok": True, "file_id": file.id, "upload_url": f"{self._root}/upload/v1/{file.id}?sig=secret"}

    def _upload(self, request: Request, rest: str) -> Response:
        file = self.workspace.uploads.files.get(rest.removeprefix("v1/"))
        if file is None or request.method != "POST":
            return Response("no such upload", 404)
        if "Authorization" in request.headers:
            return Response("an upload URL takes no Authorization", 400)
        received, digest = self._received(request, file)
        if received != file.length:
            return Response(f"{file.length} bytes were announced, {received} came", 400)
        with self.workspace.lock:
            self.calls.append(("upload", {"bytes": received}))
            fault = self._faults["upload"].popleft() if self._faults["upload"] else None
            if fault is None or fault.after_effect:
                file.bytes, file.sha256 = received, digest
        return Response(f"OK - {received}") if fault is None else self._fails(request, fault)

    def _received(self, request: Request, file: File) -> tuple[int, str]:
        received, digest = 0, hashlib.sha256()
        with self._target(file).open("wb") as out:
            while chunk := request.stream.read(256 * 1024):
                received += len(chunk)
                digest.update(chunk)
                out.write(chunk)
        return received, digest.hexdigest()

    def _target(self, file: File) -> Path:
        if self._folder is None:
            return Path(os.devnull)
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{file.id}-{_UNSAFE.sub('_', file.name)}"

    def _webhook(self, request: Request, rest: str) -> Response:
        if not rest.endswith("/right"):
            return Response("no_service", 404)
        arguments = _arguments(request)
        if not arguments.get("text") and not arguments.get("blocks"):
            return Response("no_text", 400)
        channel = {"channel": next(iter(self.workspace.channels))}
        answer = self._answered(
            request, "webhook", arguments, lambda: self.workspace.post(arguments | channel)
        )
        if answer.mimetype != "application/json" or answer.status_code != 200:
            return answer
        code = json.loads(answer.get_data()).get("error")
        return Response(code, 400) if code else Response("ok")

    def _headers(self) -> dict[str, str]:
        return {"X-OAuth-Scopes": ",".join(self._scopes)}


Method = Callable[[SlackStandIn, Answer], Answer]

_METHODS: dict[str, tuple[str, Method]] = {
    "auth.test": ("", SlackStandIn.who_am_i),
    "chat.postMessage": ("chat:write", lambda slack, given: slack.workspace.post(given)),
    "chat.update": ("chat:write", lambda slack, given: slack.workspace.update(given)),
    "chat.delete": ("chat:write", lambda slack, given: slack.workspace.delete(given)),
    "chat.getPermalink": ("", lambda slack, given: slack.workspace.permalink(given)),
    "conversations.history": ("channels:history", lambda slack, given: slack.workspace.history(given)),
    "conversations.replies": ("channels:history", lambda slack, given: slack.workspace.replies(given)),
    "conversations.info": ("channels:read", lambda slack, given: slack.workspace.channels.info(given)),
    "conversations.list": ("channels:read", lambda slack, given: slack.workspace.channels.list(given)),
    "files.getUploadURLExternal": ("files:write", SlackStandIn.upload_url),
    "files.completeUploadExternal": ("files:write", lambda slack, given: slack.workspace.complete(given)),
    "files.info": ("files:read", lambda slack, given: slack.workspace.uploads.info(given)),
    "files.delete": ("files:write", lambda slack, given: slack.workspace.delete_file(given)),
}


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (named by werkzeug)
        """Calls are kept, not printed."""


def _nothing(_request: Request, _rest: str) -> Response:
    return Response("not found", 404)


def _arguments(request: Request) -> Answer:
    if request.mimetype == "application/json":
        given = request.get_json(silent=True)
        return dict(given) if isinstance(given, dict) else {}
    return {**request.args.to_dict(), **request.form.to_dict()}
