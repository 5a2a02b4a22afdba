import contextlib
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html import escape
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from ghost_server import EMAIL, IS_5, Ghost, running_ghost
from machine import await_that

from handlers.connectors.ghost import GhostConnector, GhostOptions
from handlers.connectors.ghost_api import GhostApi, Site
from service.connector_contract import (
    HOSTILE,
    ConnectorContract,
    Faults,
    FaultyHttp,
    Seen,
    Story,
    film,
    new_story,
)
from service.connectors import ConnectorTools
from service.domain.delivery import DeliveryFailed, Published, Scene
from service.outbound_http import FormFile

MAILED = {"newsletter": "default-newsletter"}


@dataclass(frozen=True)
class GhostPlace:
    ghost: Ghost
    folder: Path

    def connector(self, faults: Faults | None = None, **options: Any) -> GhostConnector:
        chosen = {"url": self.ghost.url, "admin_key": self.ghost.admin_key, **options}
        return GhostConnector(GhostOptions.model_validate(chosen), self.tools(faults or Faults()))

    def tools(self, faults: Faults, ahead: timedelta = timedelta()) -> ConnectorTools:
        return ConnectorTools("place", FaultyHttp(faults), self.folder, lambda: datetime.now(UTC) + ahead)

    def seen(self, key: str) -> Sequence[Seen]:
        return [Seen(post["title"], self._video(post)) for post in self.posts(key)]

    def posts(self, key: str) -> list[dict[str, Any]]:
        return self.ghost.posts(sha256(key.encode()).hexdigest()[:12])

    def post(self, key: str) -> dict[str, Any]:
        """The only one, read past the API."""
        (post,) = self.posts(key)
        return post

    def api(self) -> GhostApi:
        options = GhostOptions(url=self.ghost.url, admin_key=self.ghost.admin_key)
        return GhostApi(Site(options.url, options.admin_key, 30), self.tools(Faults()))

    def page(self, url: str) -> str:
        """What a reader gets."""
        with urllib.request.urlopen(url, timeout=30) as answer:
            return str(answer.read().decode())

    def media(self, key: str) -> list[str]:
        """The files in Ghost's storage that belong to the story."""
        mark = sha256(key.encode()).hexdigest()[:12]
        return sorted(path.name for path in self.ghost.database.parent.rglob(f"content/**/{mark}-*"))

    def _video(self, post: Mapping[str, Any]) -> str | None:
        nodes = json.loads(post["lexical"])["root"]["children"]
        videos = [node["src"] for node in nodes if node["type"] == "video"]
        if not videos:
            return None
        url = videos[0].replace("__GHOST_URL__", self.ghost.url)
        with urllib.request.urlopen(url, timeout=60) as answer:
            return sha256(answer.read()).hexdigest()


@pytest.fixture(scope="module")
def ghost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ghost]:
    with running_ghost(tmp_path_factory.mktemp("ghost")) as server:
        yield server


@pytest.fixture(scope="module")
def members(ghost: Ghost) -> Ghost:
    """The same, with one reader who has the newsletter."""
    ghost.call("POST", "/members/", {"members": [{"email": "reader@example.test", "name": "Reader"}]})
    return ghost


@pytest.fixture
def place(ghost: Ghost, tmp_path: Path) -> GhostPlace:
    return GhostPlace(ghost, tmp_path)


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return new_story(tmp_path)


def publish(place: GhostPlace, story: Story, faults: Faults | None = None, **options: Any) -> Published:
    published = place.connector(faults, **options).publish(story.publication())
    story.save(published.reference)
    return published


def tried(place: GhostPlace, story: Story, faults: Faults, **options: Any) -> None:
    """An attempt that may end at the fault."""
    with contextlib.suppress(DeliveryFailed):
        publish(place, story, faults, **options)


class TestGhost(ConnectorContract):
    """Against the real one."""


class TestPage:
    """What readers get."""

    def test_shows_hostile_texts_as_they_are(self, place: GhostPlace, story: Story) -> None:
        hostile = HOSTILE + '"><img src=x onerror=alert(2)>'
        facts = replace(story.facts(), title=hostile, idea=hostile, scenes=(Scene(hostile, hostile),))
        published = place.connector().publish(story.publication(story=facts))
        assert published.url is not None
        page = place.page(published.url)
        assert "<script>alert(1)" not in page
        assert "<img src=x" not in page
        assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 4  # title, head, transcript twice
        assert "{{ 7*7 }}" in page

    def test_has_player_poster_excerpt_and_transcript(self, place: GhostPlace, story: Story) -> None:
        published = publish(place, story, tags=["Letters from the sea", "#hidden"])
        page = place.page(published.url or "")
        assert 'class="kg-card kg-video-card' in page
        video, thumbnail, image = (published.reference[name] for name in ("video", "thumbnail", "image"))
        assert f'src="{video}"' in page
        assert thumbnail in page
        assert image.rpartition("/")[2] in page
        assert f'content="{image}"' in page  # for previews at other sites
        assert 'content="A lighthouse keeper finds a letter."' in page
        assert page.index("Transcript") < page.index("It came with the tide.")
        assert "Letters from the sea" in page
        assert "#hidden" not in page

    def test_begins_its_excerpt_with_the_player_if_it_is_left_to_ghost(
        self, place: GhostPlace, story: Story
    ) -> None:
        publish(place, story)
        post = place.post(story.key)
        assert post["custom_excerpt"] == "A lighthouse keeper finds a letter."
        assert post["plaintext"].split()[:2] == ["0:00", "/0:02"], "why an excerpt of our own is needed"

    def test_keeps_the_poster_for_other_sites_alone(self, place: GhostPlace, story: Story) -> None:
        published = publish(place, story, feature_image=False)
        assert place.post(story.key)["feature_image"] is None
        assert f'content="{published.reference["image"]}"' in place.page(published.url or "")

    def test_may_link_the_video_and_have_a_template(self, place: GhostPlace, story: Story) -> None:
        (place.folder / "card.html.jinja").write_text("<blockquote>{{ story.title }}</blockquote>")
        small = replace(story, title="<i>Linked</i>")
        published = publish(place, small, upload_limit=100, template="card.html.jinja")
        assert published.remark.startswith("the video is linked, for 30 days")
        page = place.page(published.url or "")
        # Ghost names itself to the sites that it links
        assert '<a href="https://relay.test/media/video?a=1&b=2&ref=127.0.0.1">Watch the video (0:02)' in page
        assert "<blockquote>&lt;i&gt;Linked&lt;/i&gt;</blockquote>" in page
        assert not [name for name in place.media(story.key) if name.endswith(".mp4")]


class TestStatus:
    """Draft, published, scheduled, and what the editors make of it."""

    def test_a_draft_is_seen_by_nobody(self, place: GhostPlace, story: Story) -> None:
        published = publish(place, story, status="draft", visibility="members", authors=[EMAIL])
        post = place.post(story.key)
        assert (post["status"], post["visibility"]) == ("draft", "members")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            place.page(f"{place.ghost.url}/{post['slug']}/")
        assert f"/p/{post['uuid']}/" in (published.url or "")

    def test_is_scheduled_for_a_time_after_the_delivery_began(self, place: GhostPlace, story: Story) -> None:
        began = datetime(2099, 3, 4, 5, 6, 7, tzinfo=UTC)
        connector = place.connector(status="scheduled", delay=7200)
        connector.publish(story.publication(published_at=began))
        post = place.post(story.key)
        assert post["status"] == "scheduled"
        assert str(post["published_at"]).startswith("2099-03-04 07:06:07")
        connector.publish(story.publication(published_at=began, forgets=True))
        assert place.post(story.key)["status"] == "scheduled"

    def test_a_late_schedule_is_the_soonest_that_ghost_takes(self, place: GhostPlace, story: Story) -> None:
        publish(place, story, status="scheduled", delay=180)
        at = datetime.fromisoformat(str(place.post(story.key)["published_at"])).replace(tzinfo=UTC)
        assert timedelta(minutes=2) < at - datetime.now(UTC) < timedelta(minutes=4)

    def test_what_editors_made_a_draft_stays_one(self, place: GhostPlace, story: Story) -> None:
        published = publish(place, story, tags=["Ours"])
        post = place.api().get(f"/posts/{published.reference['post']}/")["posts"][0]
        change = {"status": "draft", "tags": [{"name": "Theirs"}], "slug": "of-their-own"}
        place.ghost.call(
            "PUT", f"/posts/{post['id']}/", {"posts": [{**change, "updated_at": post["updated_at"]}]}
        )
        again = publish(
            place, replace(story, title="Anew", revision=2, video=film(place.folder / "2.mp4", "2"))
        )
        (edited,) = place.ghost.posts("of-their-own")
        assert (edited["status"], edited["title"]) == ("draft", "Anew")
        assert again.remark == "it stays a draft, as somebody made it one in Ghost"
        assert place.posts(story.key) == []
        tags = place.api().get(f"/posts/{post['id']}/", include="tags")["posts"][0]["tags"]
        assert [tag["name"] for tag in tags] == ["Theirs"]
        place.connector().withdraw(story.withdrawal())
        assert place.ghost.posts("of-their-own") == []

    def test_is_withdrawn_to_a_draft_and_published_again(self, place: GhostPlace, story: Story) -> None:
        publish(place, story, withdrawn="draft")
        before = place.media(story.key)
        withdrawn = place.connector(withdrawn="draft").withdraw(story.withdrawal())
        assert "draft" in withdrawn.remark
        assert place.post(story.key)["status"] == "draft"
        publish(place, story, withdrawn="draft")
        assert place.post(story.key)["status"] == "published"
        assert place.media(story.key) == before, "uploaded once"


class TestOnce:
    """One post, whatever happens between two calls."""

    def test_a_creation_that_ends_late_is_removed(self, place: GhostPlace, story: Story) -> None:
        publish(place, story)
        slug = place.post(story.key)["slug"]
        for title in ("Late", "Late, and edited"):
            made = place.api().send("POST", "/posts/", "posts", {"title": title, "slug": slug})
            assert made["slug"] in (f"{slug}-2", f"{slug}-3"), "Ghost takes a slug twice, and numbers it"
        change = {"posts": [{"custom_excerpt": "mine", "updated_at": "2020-01-01T00:00:00.000Z"}]}
        with pytest.raises(AssertionError, match="409"):
            place.ghost.call("PUT", f"/posts/{made['id']}/", change)
        place.ghost.age(made["id"])
        publish(place, story)
        titles = [post["title"] for post in place.posts(story.key)]
        assert sorted(titles) == ["A letter", "Late, and edited"]

    def test_workers_at_the_same_time_make_one(self, place: GhostPlace, story: Story) -> None:
        barrier = Barrier(3)

        def work() -> None:
            barrier.wait(10)
            with contextlib.suppress(DeliveryFailed):
                place.connector().publish(story.publication(forgets=True, save=lambda _: None))

        threads = [Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        publish(place, story)
        assert [seen.title for seen in place.seen(story.key)] == ["A letter"]

    def test_a_forgotten_upload_is_found_in_the_post(self, place: GhostPlace, story: Story) -> None:
        first = publish(place, story)
        again = place.connector().publish(story.publication(forgets=True))
        assert again.reference == first.reference
        stem = f"{sha256(story.key.encode()).hexdigest()[:12]}-{story.publication().video.sha256[:12]}"
        # `_o` is the image as it came: Ghost shows a smaller one
        assert place.media(story.key) == [f"{stem}{end}" for end in (".jpg", ".mp4", "_o.jpg", "_thumb.jpg")]

    def test_a_change_by_somebody_else_is_read_again(self, place: GhostPlace, story: Story) -> None:
        first = publish(place, story)
        api = place.api()
        post = api.get(f"/posts/{first.reference['post']}/")["posts"][0]
        for stale in ({}, {"updated_at": "2020-01-01T00:00:00.000Z"}):
            with pytest.raises(DeliveryFailed, match="422" if not stale else "409") as failed:
                api.send("PUT", f"/posts/{post['id']}/", "posts", {"title": "Stale", **stale})
            assert failed.value.permanent == (not stale)
        connector = place.connector()
        send = connector._tools.http.send

        def interfering(request: Any) -> Any:
            if request.method == "PUT" and not place.post(story.key)["custom_excerpt"].startswith("Theirs"):
                place.ghost.age(post["id"])
                found = api.get(f"/posts/{post['id']}/")["posts"][0]
                theirs = {"custom_excerpt": "Theirs", "updated_at": found["updated_at"]}
                place.ghost.call("PUT", f"/posts/{post['id']}/", {"posts": [theirs]})
            return send(request)

        connector._tools.http.send = interfering  # type: ignore[method-assign]
        connector.publish(replace(story, title="Ours", revision=2).publication())
        stands = place.post(story.key)
        assert (stands["title"], stands["custom_excerpt"]) == ("Ours", "Theirs")


class TestNewsletter:
    """It goes out once."""

    @pytest.fixture
    def place(self, members: Ghost, tmp_path: Path) -> GhostPlace:
        return GhostPlace(members, tmp_path)

    def mails(self, place: GhostPlace, story: Story) -> int:
        """How often the mail service got it."""
        name = escape(story.title).encode()
        return sum(
            name in message or story.title.encode() in message for message in place.ghost.mails.messages
        )

    def sent(self, place: GhostPlace, story: Story) -> None:
        await_that(lambda: self.mails(place, story) > 0, "the newsletter arrives", 30)
        assert (self.mails(place, story), place.ghost.emails(story.reference()["post"])) == (1, 1)

    def test_goes_out_once_whatever_is_done_later(self, place: GhostPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path, title="Mailed to everyone")
        publish(place, story, **MAILED)
        self.sent(place, story)
        publish(place, story, **MAILED)
        place.connector(**MAILED).publish(story.publication(forgets=True))
        publish(place, replace(story, revision=2, video=film(tmp_path / "2.mp4", "Two")), **MAILED)
        withdrawn = place.connector(**MAILED).withdraw(story.withdrawal())
        assert "draft" in withdrawn.remark, "a deleted post could be mailed again"
        publish(place, story, **MAILED)
        assert place.post(story.key)["status"] == "published"
        marker = new_story(tmp_path, title="The one after")
        publish(place, marker, **MAILED)
        self.sent(place, marker)  # Ghost sends one after the other: what it had to send before has been sent
        self.sent(place, story)

    def test_goes_out_once_for_every_lost_answer(self, place: GhostPlace, tmp_path: Path) -> None:
        faults = Faults()
        publish(place, new_story(tmp_path, title="Counted"), faults, **MAILED)
        stories = [new_story(tmp_path, title=f"Lost answer {at}") for at in range(1, faults.calls + 1)]
        for at, story in enumerate(stories, 1):
            tried(place, story, Faults(at), **MAILED)
            publish(place, story, **MAILED)
            publish(place, story, **MAILED)
        for story in stories:
            self.sent(place, story)

    def test_is_not_sent_again_for_a_post_that_somebody_deleted(
        self, place: GhostPlace, tmp_path: Path
    ) -> None:
        story = new_story(tmp_path, title="Deleted by hand")
        publish(place, story, **MAILED)
        self.sent(place, story)
        place.ghost.call("DELETE", f"/posts/{story.reference()['post']}/")
        again = publish(place, story, **MAILED)
        assert again.remark.startswith("not mailed: an earlier post")
        assert place.ghost.emails(story.reference()["post"]) == 0
        assert place.post(story.key)["status"] == "published"

    def test_goes_to_a_segment(self, place: GhostPlace, tmp_path: Path) -> None:
        story = new_story(tmp_path, title="For those who pay")
        publish(place, story, **MAILED, segment="status:-free")
        assert place.post(story.key)["email_recipient_filter"] == "status:-free"
        assert self.mails(place, story) == 0

    def test_wants_a_newsletter_that_there_is(self, place: GhostPlace, story: Story) -> None:
        for act in (GhostConnector.check, lambda weekly: weekly.publish(story.publication())):
            with pytest.raises(DeliveryFailed, match="no active newsletter weekly") as failed:
                act(place.connector(newsletter="weekly"))
            assert failed.value.refused
        path = f"/posts/{place.post(story.key)['id']}/"
        wish = {"updated_at": place.api().get(path)["posts"][0]["updated_at"], "status": "published"}
        said = "400: .* doesn't match any active newsletter" if IS_5 else "500: Error sending email"
        with pytest.raises(DeliveryFailed, match=said):
            place.api().send("PUT", path, "posts", wish, newsletter="weekly")
        assert place.post(story.key)["status"] == "draft"
        publish(place, story, **MAILED)
        assert place.post(story.key)["status"] == "published"
        assert "mails by default-newsletter" in place.connector(**MAILED).check()


class TestRights:
    """What the key must be, and what Ghost says otherwise."""

    def test_refuses_a_wrong_key_and_a_slow_clock(self, place: GhostPlace) -> None:
        for key in ("f" * 24 + place.ghost.admin_key[24:], place.ghost.admin_key[:-4] + "0000"):
            with pytest.raises(DeliveryFailed, match="take the Admin API key") as failed:
                place.connector(admin_key=key).check()
            assert failed.value.refused
            assert key[25:] not in str(failed.value)
        options = GhostOptions(url=place.ghost.url, admin_key=place.ghost.admin_key)
        slow = GhostConnector(options, place.tools(Faults(), timedelta(minutes=-10)))
        with pytest.raises(DeliveryFailed, match="clock"):
            slow.check()

    def test_wants_authors_that_there_are(self, place: GhostPlace, story: Story) -> None:
        assert "Letters" in place.connector(authors=[EMAIL]).check()
        with pytest.raises(DeliveryFailed, match=r"no author nobody@example\.test") as failed:
            place.connector(authors=[EMAIL, "nobody@example.test"]).check()
        assert failed.value.refused
        published = publish(place, story, authors=["nobody@example.test"])
        post = place.api().get(f"/posts/{published.reference['post']}/", include="authors")["posts"][0]
        assert [one["email"] for one in post["authors"]] == [EMAIL], "Ghost names the owner without a word"

    def test_works_with_a_staff_key(self, place: GhostPlace, story: Story) -> None:
        publish(place, story, admin_key=place.ghost.owner_key())
        assert place.post(story.key)["status"] == "published"

    def test_a_test_leaves_nothing(self, place: GhostPlace) -> None:
        before = (len(place.ghost.posts("")), len(place.api().get("/tags/", limit="100")["tags"]))
        assert "deleted" in place.connector().send_test().remark
        assert (len(place.ghost.posts("")), len(place.api().get("/tags/", limit="100")["tags"])) == before

    def test_ghost_takes_what_only_looks_like_a_video(self, place: GhostPlace) -> None:
        """Why nothing but our own checked file is uploaded."""
        page = FormFile("file", "x.mp4", "video/mp4", b"<html><script>alert(1)</script>")
        made = place.api().upload("/media/upload/", "media", [page], 30)
        assert made["url"].endswith(".mp4")
        program = FormFile("file", "x.exe", "video/mp4", b"MZ")
        with pytest.raises(DeliveryFailed, match="415"):
            place.api().upload("/media/upload/", "media", [program], 2)


def test_a_site_below_a_path(tmp_path: Path, story: Story) -> None:
    with running_ghost(tmp_path, "/blog") as ghost:
        place = GhostPlace(ghost, tmp_path)
        published = publish(place, story)
        assert (published.url or "").startswith(f"{ghost.url}/")
        assert published.reference["video"] in place.page(published.url or "")
        assert [seen.video_sha256 for seen in place.seen(story.key)] == [story.publication().video.sha256]
        with pytest.raises(DeliveryFailed, match="no Ghost") as failed:
            place.connector(url=ghost.url.removesuffix("/blog")).check()
        assert failed.value.refused
