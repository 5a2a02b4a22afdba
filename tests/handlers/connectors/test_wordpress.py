import datetime
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from html import unescape
from itertools import product
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from pydantic import ValidationError
from wordpress_blog import Blog, options, tools, wordpress_or_skip
from wordpress_server import Site

from handlers.connectors import wordpress_media
from handlers.connectors.wordpress import WordPressConnector, WordPressOptions
from handlers.connectors.wordpress_posts import mark, slug_of
from service.connector_contract import (
    ConnectorContract,
    Faults,
    Place,
    Story,
    film,
    new_story,
)
from service.connectors import connector_class
from service.domain.delivery import DeliveryFailed, Notice, Published, Scene
from service.outbound_http import Headers, HttpClient, Response


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with wordpress_or_skip(tmp_path_factory.mktemp("wordpress")) as running:
        yield running


class TestWordPress(ConnectorContract):
    @pytest.fixture
    def place(self, site: Site, tmp_path: Path) -> Place:
        return Blog(site, tmp_path, options(site))

    def stands_once(self, place: Place, story: Story) -> None:
        """Also no file is left over of an attempt that died."""
        super().stands_once(place, story)
        assert isinstance(place, Blog)
        assert place.kinds(story) == ["captions", "poster", "video"]


def publish(
    site: Site, story: Story, user: str = "author", *, forgets: bool = False, **more: Any
) -> Published:
    with HttpClient() as http:
        connector = WordPressConnector(options(site, user, **more), tools(http, story.folder))
        published = connector.publish(story.publication(forgets=forgets))
    story.save(published.reference)
    return published


def refusal(act: Callable[[], object]) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as failed:
        act()
    return failed.value


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return new_story(tmp_path)


@pytest.fixture
def blog(site: Site, tmp_path: Path) -> Blog:
    return Blog(site, tmp_path, options(site))


def test_is_found_by_its_name() -> None:
    assert connector_class("wordpress") is WordPressConnector


def test_a_post_has_player_poster_captions_and_transcript(blog: Blog, story: Story) -> None:
    published = publish(blog.site, story)
    (post,) = blog.posts(story.key)
    assert published.url == post["link"]
    assert published.remark == "published"
    shown = blog.site.page(post["link"]).decode()
    media = {slug.split("-")[-2]: one for slug, one in blog.media(story.key).items()}
    assert post["featured_media"] == media["poster"]["id"]
    assert media["poster"]["alt_text"] == media["poster"]["title"]["rendered"] == "A letter"
    video = shown.partition("<video")[2].partition("</video>")[0]
    assert f'src="{media["video"]["source_url"]}"' in video
    assert f'poster="{media["poster"]["source_url"]}"' in video
    assert f'<track src="{media["captions"]["source_url"]}"' in video
    assert "<summary>Transcript</summary>" in shown
    assert "It came with the tide." in shown
    assert blog.site.page(media["captions"]["source_url"]).startswith(b"WEBVTT")
    assert media["video"]["media_details"]["filesize"] == story.video.stat().st_size
    assert media["video"]["media_details"]["length"] == 2


def test_nothing_of_a_storys_text_acts(blog: Blog, story: Story) -> None:
    text = "[gallery] <script>alert(1)</script> --> <!-- wp:html --> \\u003c"
    facts = replace(
        story.facts(),
        title=text,
        idea="https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        language='"}--><b>',
        scenes=(Scene(text, "https://www.youtube.com/watch?v=dQw4w9WgXcQ"),),
    )
    with HttpClient() as http:
        # the admin's HTML is not filtered by WordPress
        connector = WordPressConnector(options(blog.site, "admin"), tools(http, story.folder))
        connector.publish(story.publication(story=facts))
    (post,) = blog.posts(story.key)
    content = post["content"]["rendered"]
    content = content.replace(f"<!-- Storyrelay: {slug_of(story.key)} -->", "")
    for acting in ("<script", "<iframe", "gallery-", "<b>", "<!--"):
        assert acting not in content
    assert "&lt;script&gt;" in content
    assert "&#91;gallery&#93;" in content.replace("&#091;", "&#91;").replace("&#093;", "&#93;")
    assert "youtube.com/watch" in content
    page = blog.site.page(post["link"]).decode()
    assert "<script>alert(1)" not in page
    comments = re.findall(r"<!-- (/?wp:\S+)", post["content"]["raw"])
    html = ["wp:html", "/wp:html"]
    assert comments == ["wp:video", "/wp:video", "wp:paragraph", "/wp:paragraph", *html, *html]
    attributes = json.loads(re.search(r"<!-- wp:video (\{.*?\}) -->", post["content"]["raw"])[1])
    assert attributes["tracks"][0]["label"] == '"}--><b>'


def test_two_attempts_at_once_leave_one_post(blog: Blog, story: Story) -> None:
    """POST never deduplicates: the second gets another slug, or for drafts the same.

    The ledger lets no two of them run at once; should a worker be thought dead and live, they may get in each
    other's way, but the next attempt finds one post and makes it whole.
    """
    for status in ("publish", "draft"):
        fresh = replace(story, key=f"{story.key}-{status}")
        with ThreadPoolExecutor(3) as pool:
            tries = [pool.submit(publish, blog.site, fresh, status=status) for _ in range(3)]
        failures = [each.exception() for each in tries if each.exception() is not None]
        assert all(isinstance(one, DeliveryFailed) and not one.permanent for one in failures), failures
        publish(blog.site, fresh)
        assert len(blog.posts(fresh.key)) == 1
        assert blog.kinds(fresh) == ["captions", "poster", "video"]


def test_a_double_whose_slug_wordpress_changed_goes_into_the_trash(blog: Blog, story: Story) -> None:
    slug = slug_of(story.key)
    first, second = (
        blog.site.call("posts", "POST", {"slug": slug, "status": "publish", "title": "x"}) for _ in range(2)
    )
    assert (first["slug"], second["slug"]) == (slug, f"{slug}-2")
    publish(blog.site, story, "admin")
    assert [post["id"] for post in blog.posts(story.key)] == [first["id"]]
    assert blog.site.call(f"posts/{second['id']}")["status"] == "trash"


def test_a_draft_is_found_again_and_people_may_publish_and_rename_it(blog: Blog, story: Story) -> None:
    publish(blog.site, story, status="draft")
    (draft,) = blog.posts(story.key)
    assert draft["status"] == "draft"
    assert publish(blog.site, story, forgets=True).remark == "draft"
    blog.site.call(f"posts/{draft['id']}", "POST", {"status": "publish", "slug": f"{story.key}-renamed"})
    publish(blog.site, replace(story, title="Changed"), status="draft")
    (post,) = blog.posts(story.key)
    assert (post["id"], post["status"], post["slug"]) == (draft["id"], "publish", f"{story.key}-renamed")
    assert post["title"]["raw"] == "Changed"


def test_what_a_person_put_into_the_trash_stays_there(blog: Blog, story: Story) -> None:
    first = publish(blog.site, story).reference["post"]
    blog.site.call(f"posts/{first}", "DELETE")
    second = publish(blog.site, story).reference["post"]
    assert [post["id"] for post in blog.posts(story.key)] == [second]
    assert second != first


def test_a_renamed_post_is_known_by_its_mark(blog: Blog, story: Story) -> None:
    post = publish(blog.site, story).reference["post"]
    blog.site.call(f"posts/{post}", "POST", {"slug": f"quite-another-{story.key}"})
    assert publish(blog.site, replace(story, title="Changed")).reference["post"] == post
    assert blog.site.call(f"posts/{post}")["title"]["rendered"] == "Changed"


@pytest.mark.parametrize("moved", [{"site": "https://other.test"}, {"post_type": "page"}, {}])
def test_a_remembered_number_is_not_trusted_at_another_site(
    blog: Blog, story: Story, moved: dict[str, str]
) -> None:
    theirs = blog.site.call("posts", "POST", {"title": "Theirs", "content": "Mine!", "status": "publish"})
    here = {"site": blog.site.url, "post_type": "post"}
    story.save({**here, **moved, "post": theirs["id"], "url": theirs["link"]})
    assert publish(blog.site, story, "admin").reference["post"] != theirs["id"]
    story.save({**here, **moved, "post": theirs["id"], "url": theirs["link"]})
    with HttpClient() as http:
        connector = WordPressConnector(options(blog.site, "admin"), tools(http, story.folder))
        connector.withdraw(story.withdrawal())
    kept = blog.site.call(f"posts/{theirs['id']}")
    assert (kept["status"], kept["title"]["rendered"]) == ("publish", "Theirs")
    assert "Mine!" in kept["content"]["rendered"]
    assert blog.posts(story.key) == []


def test_a_revision_removes_the_files_of_the_one_before(blog: Blog, story: Story) -> None:
    publish(blog.site, story)
    before = blog.media(story.key)
    again = replace(story, revision=2, video=film(story.folder / "two.mp4", "Two"))
    publish(blog.site, again)
    after = blog.media(story.key)
    assert len(after) == len(before) == 3
    assert len(after.keys() & before.keys()) == 2


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize("withdrawn", ["trash", "delete"])
def test_withdraws_post_and_files(blog: Blog, story: Story, withdrawn: str, remembered: bool) -> None:
    post = publish(blog.site, story).reference["post"]
    withdrawal = story.withdrawal() if remembered else replace(story.withdrawal(), reference={})
    with HttpClient() as http:
        connector = WordPressConnector(options(blog.site, withdrawn=withdrawn), tools(http, story.folder))
        said = connector.withdraw(withdrawal)
    assert (blog.posts(story.key), blog.media(story.key)) == ([], {})
    if withdrawn == "trash":
        assert blog.site.call(f"posts/{post}")["status"] == "trash"
        assert "trash" in said.remark
    else:
        with pytest.raises(HTTPError, match="404"):
            blog.site.call(f"posts/{post}")


def test_the_options_of_a_post(blog: Blog, story: Story) -> None:
    blog.site.call("categories", "POST", {"name": "Tom & Jerry"})
    (story.folder / "post.jinja").write_text("<p>Mine: {{ story.title }} [audio]</p>")
    asked = {
        "status": "future",
        "delay": 7200,
        "categories": ("tom & jerry", f"New {story.key}"),
        "tags": ("fox",),
        "author": "contributor",
        "template": Path("post.jinja"),
        "featured_image": False,
    }
    published = publish(blog.site, story, "admin", **asked)
    assert published.remark == "scheduled"
    (post,) = blog.posts(story.key)
    assert post["status"] == "future"
    due = datetime.datetime.fromisoformat(f"{post['date_gmt']}+00:00")
    assert 7000 < (due - datetime.datetime.now(datetime.UTC)).total_seconds() <= 7200
    names = {unescape(blog.site.call(f"categories/{one}")["name"]) for one in post["categories"]}
    assert names == {"Tom & Jerry", f"New {story.key}"}
    assert [blog.site.call(f"tags/{one}")["name"] for one in post["tags"]] == ["fox"]
    assert blog.site.call(f"users/{post['author']}")["name"] == "contributor"
    assert post["content"]["raw"] == f"<p>Mine: A letter [audio]</p>{mark(slug_of(story.key))}"
    assert post["featured_media"] == 0


def test_a_category_that_the_account_may_not_make_is_left_out(blog: Blog, story: Story) -> None:
    published = publish(blog.site, story, categories=("Not there",))
    assert "without categories Not there" in published.remark
    assert len(blog.posts(story.key)) == 1


def test_an_unknown_author_is_said(blog: Blog, story: Story) -> None:
    failed = refusal(lambda: publish(blog.site, story, "admin", author="nobody"))
    assert failed.permanent
    assert "'nobody'" in str(failed)


def test_another_post_type(blog: Blog, story: Story) -> None:
    publish(blog.site, story, "admin", post_type="film")
    assert publish(blog.site, story, "admin", post_type="film").remark == "published"
    films = [one for one in blog.site.call("films?status=any") if one["slug"].startswith(story.key)]
    assert len(films) == 1
    failed = refusal(lambda: publish(blog.site, story, "admin", post_type="nothing"))
    assert failed.permanent
    assert "post type" in str(failed)


@pytest.mark.parametrize(
    ("env", "under"), [({"WP_PLAIN": "1"}, ""), ({}, "/blog"), ({"WP_PLAIN": "1"}, "/blog")]
)
def test_plain_permalinks_and_a_site_in_a_folder(
    blog: Blog, story: Story, env: dict[str, str], under: str
) -> None:
    with blog.site.served(env, under=under) as url:
        publish(blog.site, story, url=url)
        publish(blog.site, story, url=f"{url}/")
        assert len(blog.seen(story.key)) == 1


def test_a_page_is_no_success(blog: Blog, story: Story) -> None:
    """With plain permalinks a POST to /wp-json/ is answered with the front page, and 200."""
    page = Response(200, Headers({"Content-Type": "text/html"}), b"<!doctype html>", "http://blog.test/")
    other = Response(200, Headers(), b'{"id": 1}', "http://blog.test/")
    # the call that makes the post: with the files to upload before, and without
    for call, answer in ((7, page), (4, other)):
        failed = refusal(
            partial(blog.connector(Faults(call, "answered", answer)).publish, story.publication())
        )
        assert "nothing is taken for done" in str(failed)
        assert not failed.permanent
    publish(blog.site, story)
    assert len(blog.seen(story.key)) == 1


@pytest.mark.parametrize("cause", ["user", "login password", "header"])
def test_a_login_that_is_not_taken_says_all_three_causes(blog: Blog, story: Story, cause: str) -> None:
    env = {"WP_NO_LOGIN": "1"} if cause == "header" else {}
    changed: dict[str, Any] = {"username": "nobody"} if cause == "user" else {}
    if cause == "login password":
        changed = {"application_password": "login-password-of-author"}
    with blog.site.served(env) as url, HttpClient() as http:
        chosen = options(blog.site, url=url, **changed)
        connector = WordPressConnector(chosen, tools(http, story.folder))
        failures = [refusal(connector.check), refusal(partial(connector.publish, story.publication()))]
    assert [failed.refused for failed in failures] == [True, True]
    for failed, cause_told in product(failures, ("username", "application password", "Authorization")):
        assert cause_told in str(failed)
    assert chosen.application_password.get_secret_value() not in " ".join(map(str, failures))


def test_an_account_that_may_not_publish_is_refused(blog: Blog, story: Story) -> None:
    failed = refusal(lambda: publish(blog.site, story, "contributor"))
    assert (failed.refused, failed.permanent) == (True, False)
    assert "rest_cannot_create" in str(failed)


@pytest.mark.parametrize(
    ("user", "more", "says"),
    [
        ("author", {}, "as author (author)"),
        ("author", {"categories": ("x",)}, "may not make categories"),
        ("editor", {"categories": ("x",), "author": 1}, "as editor (editor);"),
    ],
)
def test_a_check_says_who_and_what(blog: Blog, user: str, more: dict[str, Any], says: str) -> None:
    with HttpClient() as http:
        said = WordPressConnector(options(blog.site, user, **more), tools(http, blog.folder)).check()
    assert says in said
    assert ("may not" in says) == ("may not" in said)


@pytest.mark.parametrize(
    ("user", "more", "says"),
    [
        ("contributor", {}, "may not upload files, nor publish"),
        ("contributor", {"status": "draft"}, "may not upload files: give"),
        ("author", {"author": 1}, "may not write for another author"),
    ],
)
def test_a_check_says_which_rights_are_missing(
    blog: Blog, user: str, more: dict[str, Any], says: str
) -> None:
    with HttpClient() as http:
        failed = refusal(WordPressConnector(options(blog.site, user, **more), tools(http, blog.folder)).check)
    assert failed.refused
    assert says in str(failed)


def test_a_refused_type_is_linked_instead(blog: Blog, story: Story) -> None:
    """WordPress answers 500 for it, which would be tried again for a day."""
    with blog.site.served({"WP_REFUSED_TYPE": "video/mp4"}) as url:
        published = publish(blog.site, story, url=url)
    assert "the video is linked, for 30 days" in published.remark
    assert "rest_upload_sideload_error" in published.remark
    (post,) = blog.posts(story.key)
    assert 'href="https://relay.test/media/video?a=1&amp;b=2"' in post["content"]["rendered"]
    assert blog.kinds(story) == ["captions", "poster"]


def test_captions_that_are_refused_are_left_out(blog: Blog, story: Story) -> None:
    with blog.site.served({"WP_REFUSED_TYPE": "text/vtt"}) as url:
        assert "without captions" in publish(blog.site, story, url=url).remark
    assert "<track" not in blog.posts(story.key)[0]["content"]["rendered"]


def test_a_video_too_large_for_the_web_server_is_linked(blog: Blog, story: Story) -> None:
    answer = Response(413, Headers(), b"<html><h1>413 Request Entity Too Large</h1>", "http://blog.test/")
    published = blog.connector(Faults(4, "answered", answer)).publish(story.publication())
    assert "413" in published.remark
    assert blog.kinds(story) == ["captions", "poster"]


def test_a_video_beyond_the_limit_is_linked_unasked(blog: Blog, story: Story) -> None:
    for more in ({"upload": "link"}, {"upload_limit": story.video.stat().st_size - 1}):
        assert "linked" in publish(blog.site, story, **more).remark
        assert blog.kinds(story) == ["captions", "poster"]
    publish(blog.site, story, upload_limit=story.video.stat().st_size)
    assert blog.seen(story.key)[0].video_sha256 is not None


def test_a_video_beyond_phps_memory_is_linked_the_third_time(blog: Blog, story: Story) -> None:
    """PHP dies of it with a 500 that says no cause, the same each time."""
    with story.video.open("ab") as file:
        file.write((60_000_000).to_bytes(4, "big") + b"free" + b"\0" * (60_000_000 - 8))
    with blog.site.served(ini=["memory_limit=50M"]) as url, HttpClient() as http:
        connector = WordPressConnector(options(blog.site, url=url), tools(http, story.folder))
        for _ in range(2):
            failed = refusal(lambda: connector.publish(story.publication()))
            assert (failed.permanent, failed.refused) == (False, False)
        published = connector.publish(story.publication())
    assert "linked" in published.remark
    assert len(blog.posts(story.key)) == 1


def test_phps_limits_of_forms_do_not_hold_for_uploads_as_they_are(blog: Blog, story: Story) -> None:
    """A form beyond them is answered with a 400 that is about something else."""
    with blog.site.served(ini=["upload_max_filesize=10K", "post_max_size=10K"]) as url:
        assert story.video.stat().st_size > 10_240
        assert publish(blog.site, story, url=url).remark == "published"


def test_a_damaged_upload_is_not_kept(blog: Blog, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wordpress_media, "_md5", lambda _content: "0" * 32)
    failed = refusal(lambda: publish(blog.site, story))
    assert "412" in str(failed)
    assert not failed.permanent
    assert blog.media(story.key) == {}


def test_a_test_leaves_nothing(blog: Blog) -> None:
    with HttpClient() as http:
        said = WordPressConnector(blog.options, tools(http, blog.folder)).send_test()
    identity = re.search(r"draft (\d+)", said.remark)[1]
    with pytest.raises(HTTPError, match="404"):
        blog.site.call(f"posts/{identity}")


def test_notices_are_refused_for_good(blog: Blog, notice: Notice) -> None:
    failed = refusal(lambda: blog.connector(Faults()).notify(notice))
    assert failed.permanent
    assert "[notices]" in str(failed)


def test_a_preview_is_the_post(blog: Blog, story: Story) -> None:
    markup, fields = blog.connector(Faults()).preview(story.publication())
    assert (markup.name, fields.name) == ("post.html", "post.json")
    assert "<!-- wp:video" in markup.text
    shown = json.loads(fields.text)
    assert (shown["title"], shown["status"], shown["slug"]) == ("A letter", "publish", slug_of(story.key))


def test_a_redirect_is_said_and_not_followed(blog: Blog, story: Story) -> None:
    answer = Response(301, Headers({"Location": "https://www.blog.test/?x=secret"}), b"", "http://blog.test/")
    failed = refusal(lambda: blog.connector(Faults(1, "answered", answer)).publish(story.publication()))
    assert "https://www.blog.test/" in str(failed)
    assert "secret" not in str(failed)


def test_the_password_goes_to_no_other_host(blog: Blog, story: Story) -> None:
    header = Headers({"Link": '<https://evil.test/wp-json/>; rel="https://api.w.org/"'})
    answer = Response(200, header, b"", "http://blog.test/")
    failed = refusal(lambda: blog.connector(Faults(1, "answered", answer)).publish(story.publication()))
    assert failed.permanent
    assert "evil.test" in str(failed)


def test_a_site_without_the_header_is_asked_by_query(blog: Blog, story: Story) -> None:
    answer = Response(200, Headers(), b"", "http://blog.test/")
    blog.connector(Faults(1, "answered", answer)).publish(story.publication())
    assert len(blog.seen(story.key)) == 1


def test_slugs_are_as_wordpress_has_them_and_differ_with_their_keys() -> None:
    assert re.fullmatch(r"storyrelay-1-team-a-[0-9a-f]{8}", slug_of("storyrelay-1-Team_A"))
    assert slug_of("storyrelay-1-Team_A") != slug_of("storyrelay-1-team-a")
    assert len(slug_of("x" * 500)) < 150


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"url": "http://blog.test"}, "https"),
        ({"url": "https://blog.test/?p=1"}, "address"),
        ({"delay": 5}, "belong together"),
        ({"status": "future"}, "belong together"),
        ({"username": "a:b"}, "colon"),
        ({"post_type": "../x"}, "post_type"),
        ({"pasword": "x"}, "pasword"),
    ],
)
def test_wrong_options_are_said_at_the_start(more: dict[str, Any], says: str) -> None:
    given = {"url": "https://blog.test", "username": "relay", "application_password": "s3cret"}
    with pytest.raises(ValidationError, match=says) as wrong:
        WordPressOptions(**{**given, **more})
    assert "s3cret" not in str(wrong.value)


def test_a_broken_template_is_said_at_the_start(blog: Blog) -> None:
    (blog.folder / "post.jinja").write_text("{{ story.nothing }}")
    chosen = replace(blog, options=options(blog.site, template=Path("post.jinja")))
    assert "nothing" in str(refusal(lambda: chosen.connector(Faults())))
