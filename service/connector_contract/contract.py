"""The contract."""

import os
import resource
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Protocol

from service.connector_contract.faults import Faults
from service.connector_contract.story import Story, film, new_story
from service.connectors import Connector
from service.domain.delivery import DeliveryFailed, Published
from service.outbound_http import Headers, Response

HOSTILE = (
    "\"Quotes\" 'n' <script>alert(1)</script> & <!channel> <http://evil.test|click>\r\nBcc: eve@evil.test\n"
    "*bold* {{ 7*7 }} [shortcode] --> 🎬👩‍👩‍👧 שלום \u202eevil\u0000 \ud800 "
)
"""A title with what has a meaning in HTML, mrkdwn, mail headers, templates and WordPress; `<script>` stays text."""

LARGE = 60_000_000
FLAT = 40_000_000
"""Bytes of a large video, and by how much memory may grow while it is published."""


@dataclass(frozen=True)
class Seen:
    """A publication as the place itself shows it, found without the connector.

    `title` is text, with no markup. `video_sha256` is of the video that can be had there, None where it is linked.
    `message_id` tells messages of one id from others, where the place repeats them.
    """

    title: str
    video_sha256: str | None = None
    message_id: str = ""


class Place(Protocol):
    """A place under test."""

    def connector(self, faults: Faults) -> Connector:
        """A connector as the deliver step gets one; what goes wrong in its remote calls is up to `faults`.

        HTTP: `ConnectorTools(…, http=FaultyHttp(faults), …)`. Others wrap their client's calls by `faults.around`.
        """

    def seen(self, key: str) -> Sequence[Seen]:
        """What stands there for that key of a publication."""


class ConnectorContract:
    """Subclass it, give it a fixture `place`, and say what the place can't do."""

    once: ClassVar[bool] = True
    """A repeat is found; False: at least once, repeats carry the same message id."""
    updates: ClassVar[bool] = True
    """A later revision changes the publication; False: it is another one."""
    withdraws: ClassVar[bool] = True
    uploads: ClassVar[bool] = True
    """The video itself goes there; False: a link does."""
    over_http: ClassVar[bool] = True
    """Its calls pass the outbound seam, so that answers can be put in their place."""

    def test_publishes(self, place: Place, tmp_path: Path) -> None:
        """The story stands there once, with its title and its video."""
        story = new_story(tmp_path)
        _publish(place, story)
        self.stands_once(place, story)

    def test_publishes_again_without_a_second_one(self, place: Place, tmp_path: Path) -> None:
        """Whether or not the attempt before could save what it made."""
        story = new_story(tmp_path)
        _publish(place, story)
        _publish(place, story)
        self.stands_once(place, story)
        place.connector(Faults()).publish(story.publication(forgets=True))
        self.stands_once(place, story)

    def test_a_revision_updates(self, place: Place, tmp_path: Path) -> None:
        """The same publication has the new title and the new video."""
        story = new_story(tmp_path)
        _publish(place, story)
        again = replace(story, title="A second letter", revision=2, video=film(tmp_path / "r2.mp4", "Two"))
        _publish(place, again)
        if self.updates:
            self.stands_once(place, again)
        else:
            titles = {seen.title.strip() for seen in place.seen(story.key)}
            assert any("A second letter" in title for title in titles), titles

    def test_withdraws(self, place: Place, tmp_path: Path) -> None:
        """It is gone, and a second withdrawal finds that it is; places that can't say so, for good."""
        story = new_story(tmp_path)
        _publish(place, story)
        if not self.withdraws:
            failed = _failure(partial(place.connector(Faults()).withdraw, story.withdrawal()))
            assert failed is not None
            assert failed.permanent, "an attempt that can't ever succeed is not to be repeated"
            return
        place.connector(Faults()).withdraw(story.withdrawal())
        assert list(place.seen(story.key)) == []
        place.connector(Faults()).withdraw(story.withdrawal())

    def test_a_withdrawn_story_can_be_published_again(self, place: Place, tmp_path: Path) -> None:
        """What the ledger remembers of the publication that is gone does not mislead."""
        if not self.withdraws:
            return
        story = new_story(tmp_path)
        _publish(place, story)
        place.connector(Faults()).withdraw(story.withdrawal())
        _publish(place, story)
        self.stands_once(place, story)

    def test_killed_at_every_boundary(self, place: Place, tmp_path: Path) -> None:
        """However a worker dies between two calls, the next one makes it whole, once."""
        count = self.calls_of_one(place, tmp_path)
        for kind in ("killed before", "killed after"):
            for at in range(1, count + 1):
                story = new_story(tmp_path, title=f"{kind} call {at}")
                publish = place.connector(Faults(at, kind)).publish
                assert _killed(partial(publish, story.publication())), f"call {at} of {count} was not reached"
                _publish(place, story)
                self.stands_once(place, story)

    def test_killed_at_every_boundary_of_a_withdrawal(self, place: Place, tmp_path: Path) -> None:
        """However a worker dies while it takes a story back, the next one finds what is left of it."""
        if not self.withdraws:
            return
        count = _calls_of_a_withdrawal(place, new_story(tmp_path))
        for kind in ("killed before", "killed after"):
            for at in range(1, count + 1):
                story = new_story(tmp_path, title=f"withdrawal {kind} call {at}")
                _publish(place, story)
                withdraw = place.connector(Faults(at, kind)).withdraw
                assert _killed(partial(withdraw, story.withdrawal())), f"call {at} of {count} was not reached"
                place.connector(Faults()).withdraw(story.withdrawal())
                assert list(place.seen(story.key)) == [], f"{kind} call {at} of {count}"

    def test_answers_lost_at_every_boundary(self, place: Place, tmp_path: Path) -> None:
        """After a call whose effect is unknown the connector looks before it creates."""
        count = self.calls_of_one(place, tmp_path)
        for at in range(1, count + 1):
            story = new_story(tmp_path, title=f"lost answer {at}")
            failed = _failure(partial(place.connector(Faults(at)).publish, story.publication()))
            if failed is not None:  # some calls do without an answer
                assert (failed.permanent, failed.refused) == (False, False), f"lost answer {at}: {failed}"
            _publish(place, story)
            self.stands_once(place, story)

    def test_hostile_text_stays_text(self, place: Place, tmp_path: Path) -> None:
        """Nothing of a title acts: it is shown as it is, cut where the place says."""
        story = new_story(tmp_path, title=HOSTILE)
        _publish(place, story)
        shown = " ".join(place.seen(story.key)[0].title.split())
        assert "<script>alert(1)</script>" in shown, shown
        assert "Quotes" in shown, shown
        assert "\x00" not in shown, shown

    def test_a_title_of_10000_characters_arrives(self, place: Place, tmp_path: Path) -> None:
        """Cut, if it must be, at its end."""
        story = new_story(tmp_path, title="Long " + "x" * 10_000)
        _publish(place, story)
        assert place.seen(story.key)[0].title.startswith("Long xxx")

    def test_a_large_video_needs_no_memory(self, place: Place, tmp_path: Path) -> None:
        """Its bytes stream from the store."""
        if not self.uploads:
            return
        story = new_story(tmp_path, title="Large")
        with story.video.open("ab") as file:
            # a box that players skip (ISO/IEC 14496-12, "free"), so that it stays a whole file
            padding = LARGE - story.video.stat().st_size
            file.write(padding.to_bytes(4, "big") + b"free" + b"\0" * (padding - 8))
        grown = _memory_grown(place, story)
        assert grown < FLAT, f"memory grew by {grown} bytes"
        self.stands_once(place, story)

    def test_a_rate_limit_is_kept(self, place: Place, tmp_path: Path) -> None:
        """429 with Retry-After is no failure for good, and its time reaches the step machine."""
        if not self.over_http:
            return
        answer = Response(429, Headers({"Retry-After": "7"}), b"{}", "http://place.test/")
        for at in range(1, self.calls_of_one(place, tmp_path) + 1):
            limited = place.connector(Faults(at, "answered", answer))
            failed = _failure(partial(limited.publish, new_story(tmp_path).publication()))
            assert failed is not None, f"call {at}"
            assert (failed.permanent, failed.refused, failed.retry_after) == (False, False, 7.0), f"call {at}"

    def test_checks_and_previews(self, place: Place, tmp_path: Path) -> None:
        """A check says what it found; a preview has the title, and makes nothing."""
        story = new_story(tmp_path)
        connector = place.connector(Faults())
        assert connector.check()
        parts = connector.preview(story.publication())
        assert parts
        assert any(story.title in part.text for part in parts)
        assert list(place.seen(story.key)) == []

    def test_sends_a_test(self, place: Place) -> None:
        """Harmless, and it says what it did."""
        assert isinstance(place.connector(Faults()).send_test(), Published)

    def stands_once(self, place: Place, story: Story) -> None:
        """Asserts that the story stands there as one whole publication."""
        seen = place.seen(story.key)
        if self.once:
            assert len(seen) == 1, seen
        assert seen, "nothing stands there"
        newest = seen[-1]
        assert len({one.message_id for one in seen if one.title == newest.title}) == 1, seen
        assert story.title in newest.title, newest
        if self.uploads:
            assert newest.video_sha256 == sha256(story.video.read_bytes()).hexdigest(), newest

    def calls_of_one(self, place: Place, tmp_path: Path) -> int:
        """How many remote calls a publication takes."""
        faults = Faults()
        place.connector(faults).publish(new_story(tmp_path).publication())
        assert faults.calls > 0, "no call passed the faults: nothing would be tested"
        return faults.calls


def _publish(place: Place, story: Story) -> Published:
    published = place.connector(Faults()).publish(story.publication())
    story.save(published.reference or story.reference())
    return published


def _failure(act: Callable[[], object]) -> DeliveryFailed | None:
    try:
        act()
    except DeliveryFailed as failed:
        return failed
    return None


def _calls_of_a_withdrawal(place: Place, story: Story) -> int:
    """How many remote calls it takes to take a story back."""
    _publish(place, story)
    faults = Faults()
    place.connector(faults).withdraw(story.withdrawal())
    assert faults.calls > 0, "no call passed the faults: nothing would be tested"
    return faults.calls


def _killed(act: Callable[[], object]) -> bool:
    """Acts in a child process; says whether that was killed at the boundary."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def _memory_grown(place: Place, story: Story) -> int:
    """Publishes in a child process; returns by how many bytes its peak memory grew."""
    publication = story.publication()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            published = place.connector(Faults()).publish(publication)
            story.save(published.reference or story.reference())
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
            os.write(writer, str(grown).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    assert said, "the publication failed in its process"
    return int(said)
