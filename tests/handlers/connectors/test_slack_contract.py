import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from handlers.connectors.slack import SlackConnector, SlackOptions, _BotForm
from handlers.connectors.slack_files import LOOKS, SlackFiles
from service.connector_contract import (
    ConnectorContract,
    Faults,
    FaultyHttp,
    Place,
    Seen,
    Story,
    film,
    new_story,
)
from service.connectors import ConnectorTools
from service.domain.delivery import DeliveryFailed, Reference
from service.domain.progress import Line, Progress
from service.stand_ins.slack import SlackStandIn
from service.stand_ins.slack_shapes import Message


@dataclass(frozen=True)
class Channel:
    """A channel of the stand-in, which is itself checked with slack-sdk's own client."""

    slack: SlackStandIn
    folder: Path
    options: dict[str, Any]

    def connector(self, faults: Faults) -> SlackConnector:
        options = SlackOptions.model_validate(self.options)
        tools = ConnectorTools("place", FaultyHttp(faults), self.folder, lambda: datetime.now(UTC))
        return with_faults(SlackConnector(options, tools), faults)

    def seen(self, key: str) -> Sequence[Seen]:
        found = [m for m in self.slack.messages if payload(m).get("key") == key]
        return [Seen(title(m), self.video(m), payload(m)["message_id"]) for m in found]

    def video(self, message: Message) -> str | None:
        digests = {file.id: file.sha256 for file in self.slack.files}
        videos = [file for reply in self.slack.replies(message) for file in reply.files]
        assert len(videos) == len({digests[one] for one in videos}), "a video stands there twice"
        return digests[videos[-1]] if videos else None


def payload(message: Message) -> dict[str, Any]:
    metadata = message.metadata or {}
    found: dict[str, Any] = metadata.get("event_payload") or {}
    return found


def title(message: Message) -> str:
    header = next(block for block in message.blocks if block["type"] == "header")
    text: str = header["text"]["text"]
    return text


def with_faults(connector: SlackConnector, faults: Faults) -> SlackConnector:
    """Has the faults in slack-sdk's calls too, below its parsing of answers."""
    if not isinstance(connector._form, _BotForm):
        return connector
    # the stand-in works files up from look to look, whose pauses are for a real one
    files = SlackFiles(connector._form.files.api, looks=(0.01,) * len(LOOKS))
    connector._form = replace(connector._form, files=files)
    client = files.api.client
    send = faults.around(client._perform_urllib_http_request, lambda: URLError("the answer was lost"))

    def answered(**arguments: Any) -> Any:
        if faults.kind == "answered" and faults.calls + 1 == faults.at:
            faults.calls += 1
            assert faults.answer is not None
            given = faults.answer
            return {"status": given.status, "headers": dict(given.headers), "body": given.body.decode()}
        return send(**arguments)

    client._perform_urllib_http_request = answered
    return connector


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn(channels=("general", "videos")) as stand_in:
        yield stand_in


class TestWithToken(ConnectorContract):
    @pytest.fixture
    def place(self, slack: SlackStandIn, tmp_path: Path) -> Place:
        options = {"token": "xoxb-stand-in", "channel": "#videos", "api_url": slack.api_url, "timeout": 5}
        return Channel(slack, tmp_path, options)

    def test_answers_lost_at_every_boundary_of_a_revision(self, place: Channel, tmp_path: Path) -> None:
        second = film(tmp_path / "second.mp4", "Two")
        for at in count_until_none_is_hit():
            story = new_story(tmp_path, title=f"first {at}")
            place.connector(Faults()).publish(story.publication())
            again = replace(story, title=f"second {at}", revision=2, video=second)
            faults = Faults(at)
            with suppress(DeliveryFailed):
                place.connector(faults).publish(again.publication())
            place.connector(Faults()).publish(again.publication())
            self.stands_once(place, again)
            if faults.calls < at:
                return

    def test_answers_lost_at_every_boundary_of_a_withdrawal(self, place: Channel, tmp_path: Path) -> None:
        for at in count_until_none_is_hit():
            story = new_story(tmp_path, title=f"withdrawn {at}")
            place.connector(Faults()).publish(story.publication())
            faults = Faults(at)
            with suppress(DeliveryFailed):
                place.connector(faults).withdraw(story.withdrawal())
            place.connector(Faults()).withdraw(story.withdrawal())
            assert place.slack.workspace.messages == []
            assert place.slack.files == []
            if faults.calls < at:
                return

    def test_progress_becomes_the_story_however_a_worker_dies(self, place: Channel, tmp_path: Path) -> None:
        for kind in ("killed before", "killed after", "answer lost"):
            for at in count_until_none_is_hit():
                story, kept = new_story(tmp_path, title=f"{kind} {at}"), Kept(tmp_path / f"{kind}-{at}.json")
                show = partial(show_progress, place, story, kept)
                hit = in_a_child(partial(show, Faults(at, kind)))
                show(Faults())
                place.connector(Faults()).publish(story.publication(reference=kept.reference()))
                show(Faults(), is_published=True)
                self.stands_once(place, story)
                (message,) = [one for one in place.slack.messages if payload(one).get("key") == story.key]
                lines = [payload(reply).get("line") for reply in place.slack.replies(message)]
                assert [line for line in lines if line] == ["half", "made"], (kind, at, lines)
                if not hit:
                    break


@dataclass(frozen=True)
class Kept:
    """What a progress step has saved."""

    path: Path

    def reference(self) -> dict[str, Any]:
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def save(self, reference: Reference) -> None:
        self.path.write_text(json.dumps(dict(reference)))


def show_progress(place: Channel, story: Story, kept: Kept, faults: Faults, **changes: Any) -> bool:
    """One attempt; says whether it was hit."""
    progress = Progress(
        story=story.facts(),
        destination="place",
        key=story.key,
        headline="Being made",
        lines=(Line("half", "50 % done"), Line("made", "The video is made")),
        is_published=False,
        publication=story.reference(),
        reference=kept.reference(),
        save=kept.save,
        check=lambda: None,
    )
    with suppress(DeliveryFailed):
        place.connector(faults).show_progress(replace(progress, **changes))
    return 0 < faults.at <= faults.calls


def in_a_child(act: Callable[[], bool]) -> bool:
    """Acts in a process that may be killed; says whether it was, or was hit otherwise."""
    pid = os.fork()
    if pid == 0:
        status = 2
        try:
            status = int(act())
        finally:
            os._exit(status)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert ended in (0, 1, -signal.SIGKILL), ended
    return ended != 0


def count_until_none_is_hit() -> Iterator[int]:
    """Numbers of calls; the test ends itself with the first that was not reached."""
    yield from range(1, 40)
    raise AssertionError("it never ends")


class TestIncomingWebhook(ConnectorContract):
    once = False
    updates = False
    withdraws = False
    uploads = False

    @pytest.fixture
    def place(self, slack: SlackStandIn, tmp_path: Path) -> Place:
        return Channel(slack, tmp_path, {"webhook_url": slack.webhook_url, "timeout": 5})
