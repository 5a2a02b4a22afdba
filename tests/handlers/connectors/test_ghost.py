import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from pydantic import ValidationError

from handlers.connectors.answers import Unanswered
from handlers.connectors.ghost import GhostConnector, GhostOptions
from handlers.connectors.ghost_api import GhostRefused
from handlers.connectors.ghost_content import Body, Uploaded, excerpt_of, slug_of, title_of, uploaded_in
from handlers.message_text import BrokenTemplate
from service.connectors import ConnectorTools, connector_class
from service.domain.delivery import DeliveryFailed, Notice, Scene

ID, SECRET = "0123456789abcdef01234567", "ab" * 32
KEY = f"{ID}:{SECRET}"
POST = "0123456789abcdef01234567"
Answer = tuple[int, Any] | None
"""A status with JSON or text; None: the connection ends without an answer."""


@dataclass
class Ghost:
    """A Ghost with one post at most, that answers as `answers` says where it has something for a call."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    post: dict[str, Any] | None = None

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        call = f"{method} {path}"
        if call in self.answers:
            return self.answers[call]
        if call == "POST /media/upload/":
            files = {"url": f"{self.url}/m/v.mp4", "thumbnail_url": f"{self.url}/m/t.jpg"}
            return 201, {"media": [files]}
        if call == "POST /images/upload/":
            return 201, {"images": [{"url": f"{self.url}/i/p.jpg"}]}
        if method in ("POST", "PUT"):
            self._change(json.loads(body)["posts"][0])
        return 200, {"posts": [] if self.post is None else [self.post]}

    def _change(self, fields: dict[str, Any]) -> None:
        new = {"id": POST, "created_at": "t", "url": f"{self.url}/p/"}
        self.post = {**(self.post or new), **fields, "updated_at": "t"}


@pytest.fixture
def ghost() -> Iterator[Ghost]:
    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = url.path.removeprefix("/ghost/api/admin")
            script.calls.append(f"{self.command} {path}")
            script.queries.append(parse_qs(url.query))
            script.tokens.append(self.headers["Authorization"])
            self._say(script.answer(self.command, path, body))

        do_GET = do_POST = do_PUT = do_DELETE = _do  # noqa: N815 (http.server's names)

        def _say(self, answer: Answer) -> None:
            if answer is None:
                self.close_connection = True
                return
            status, content = answer
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(content, str) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script = Ghost(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


def connector(tools: ConnectorTools, url: str = "http://ghost.test", **options: Any) -> GhostConnector:
    chosen = {"url": url, "admin_key": KEY, "timeout": 5, **options}
    return GhostConnector(GhostOptions.model_validate(chosen), tools)


def refusal(message: str = "No.", code: str = "X") -> Any:
    return {"errors": [{"message": message, "context": "Because.", "code": code, "type": "Error"}]}


def nodes(publication: Any, body: Body, uploaded: Uploaded) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(body.lexical(publication, uploaded))["root"]["children"]
    return found


class TestOptions:
    """What the start refuses."""

    def test_is_found_by_its_name(self) -> None:
        assert connector_class("ghost") is GhostConnector

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"admin_key": "0123456789abcdef0123456789"}, "Content API key"),
            ({"admin_key": KEY + "00"}, "must be an Admin API key"),
            ({"url": "https://x.test/?a=b"}, "without"),
            ({"url": "ftp://x.test"}, "http"),
            ({"status": "scheduled"}, "belong together"),
            ({"delay": 600}, "belong together"),
            ({"status": "scheduled", "delay": 60}, "at least 180"),
            ({"status": "draft", "newsletter": "weekly"}, "a draft is not mailed"),
            ({"segment": "status:free"}, "give newsletter"),
            ({"newsletter": "weekly'+id:x"}, "newsletter"),
            ({"authors": ["x'@example.test"]}, "authors"),
            ({"tags": [",comma"]}, "comma"),
            ({"colour": "red"}, "colour"),
        ],
    )
    def test_refuses(self, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(ValidationError, match=said) as failed:
            GhostOptions.model_validate({"url": "https://x.test", "admin_key": KEY, **wrong})
        assert SECRET not in str(failed.value)

    @pytest.mark.parametrize("end", ["", "/", "/ghost", "/ghost/"])
    def test_takes_the_address_as_people_copy_it(self, end: str) -> None:
        options = GhostOptions.model_validate({"url": f"https://x.test/blog{end}", "admin_key": KEY})
        assert options.url == "https://x.test/blog"
        assert SECRET not in repr(options)

    def test_tells_a_broken_template_at_once(self, tools: ConnectorTools) -> None:
        (tools.base / "t.jinja").write_text("{{ story.nothing }}")
        with pytest.raises(BrokenTemplate):
            connector(tools, template="t.jinja")


class TestContent:
    """What the post says."""

    def test_escapes_what_ghost_does_not(self, shelf: Any, hostile: str) -> None:
        story = {"title": hostile, "idea": hostile * 2, "scenes": (Scene(hostile, hostile),)}
        publication = shelf.publication(**story)
        uploaded = Uploaded("https://x.test/v.mp4", "https://x.test/t.jpg")
        video, text, toggle = nodes(publication, Body(None, True), uploaded)
        assert (video["src"], video["caption"], video["duration"]) == ("https://x.test/v.mp4", "", 15.0)
        assert "<script>alert(1)</script>" in text["children"][0]["text"], "as text: Ghost escapes it"
        assert "<script" not in toggle["content"]
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in toggle["content"]
        whole = json.dumps([video, text, toggle], ensure_ascii=False)
        assert not {"\x00", "\ud800", "\u202e"} & set(whole)

    def test_reads_no_template_out_of_a_story(self, shelf: Any) -> None:
        publication = shelf.publication(idea="{{ 7*7 }} " * 100)
        (text,) = nodes(publication, Body(None, False), Uploaded(None))[1:]
        assert text["children"][0]["text"].startswith("{{ 7*7 }} {{")

    def test_a_template_makes_paragraphs_or_an_html_card(self, shelf: Any, tmp_path: Path) -> None:
        text = "{{ story.title }}\nsecond line\n\n\nsecond paragraph"
        for name in ("a.txt.jinja", "a.html.jinja"):
            (tmp_path / name).write_text(text)
        publication = shelf.publication(title="<b>")
        first, second = nodes(publication, Body(tmp_path / "a.txt.jinja", False), Uploaded(None))[1:]
        assert [node["type"] for node in first["children"]] == ["extended-text", "linebreak", "extended-text"]
        assert first["children"][0]["text"] == "<b>"
        assert second["children"][0]["text"] == "second paragraph"
        (card,) = nodes(publication, Body(tmp_path / "a.html.jinja", False), Uploaded(None))[1:]
        assert (card["type"], card["html"].split("\n")[0]) == ("html", "&lt;b&gt;")

    def test_has_no_transcript_where_nothing_is_spoken(self, shelf: Any) -> None:
        publication = shelf.publication(scenes=(Scene("A view", "  "),))
        assert [node["type"] for node in nodes(publication, Body(None, True), Uploaded(None))] == [
            "paragraph"
        ]

    def test_title_slug_and_excerpt_fit(self, shelf: Any, hostile: str) -> None:
        story = shelf.publication(title=hostile, idea=hostile).story
        assert len(title_of(story).encode("utf-16-le")) // 2 <= 255
        assert len(excerpt_of(story).encode("utf-16-le")) // 2 <= 300
        assert excerpt_of(replace(story, idea="", scenes=(Scene("x", "Spoken."),))) == "Spoken."
        mark = slug_of(shelf.publication())[-12:]
        assert slug_of(shelf.publication(title="Ein Brief aus Zürich!")) == f"ein-brief-aus-zurich-{mark}"
        assert slug_of(shelf.publication(title="שלום")) == f"video-{mark}"
        assert len(slug_of(shelf.publication(title="x" * 999))) == 73

    def test_finds_files_of_this_video_alone_in_a_post(self) -> None:
        def post(src: str) -> dict[str, Any]:
            video = {"type": "video", "src": src, "thumbnailSrc": "https://x.test/stem_thumb.jpg"}
            children = [video, "no node"]
            return {
                "lexical": json.dumps({"root": {"children": children}}),
                "og_image": "https://x.test/o.jpg",
            }

        found = uploaded_in(post("https://x.test/stem.mp4"), "stem")
        assert found == Uploaded("https://x.test/stem.mp4", "https://x.test/stem_thumb.jpg", None)
        for other in ("https://x.test/other.mp4", 'https://x.test/stem.mp4" onerror="x', "javascript:stem"):
            assert uploaded_in(post(other), "stem").video is None
        for broken in (None, "[", '{"root": []}', '{"root": {"children": 3}}'):
            assert uploaded_in({"lexical": broken}, "stem") == Uploaded(None)

    def test_previews_without_a_call(self, shelf: Any, tools: ConnectorTools) -> None:
        tools = replace(tools, http=None)  # type: ignore[arg-type]
        options = {"newsletter": "weekly", "segment": "status:free", "tags": ["A"], "upload": "link"}
        post, lexical = connector(tools, **options).preview(shelf.publication(title="Ein „Brief“"))
        shown = json.loads(post.text)
        assert (shown["title"], shown["status"], shown["tags"]) == (
            "Ein „Brief“",
            "published",
            [{"name": "A"}],
        )
        assert shown["newsletter"] == {"newsletter": "weekly", "email_segment": "status:free"}
        assert "https://relay.test/media/v?a=1&b=2" in lexical.text
        assert SECRET not in post.text


class TestCalls:
    """What is sent, and what answers mean."""

    def test_signs_each_call(self, shelf: Any, tools: ConnectorTools, ghost: Ghost) -> None:
        published = connector(tools, ghost.url).publish(shelf.publication())
        assert published.url == f"{ghost.url}/p/"
        posts = ["GET /posts/", "POST /media/upload/", "POST /images/upload/", "POST /posts/", "GET /posts/"]
        assert ghost.calls == [*posts, f"PUT /posts/{POST}/"]
        for token in ghost.tokens:
            scheme, _, value = token.partition(" ")
            assert scheme == "Ghost"
            assert jwt.get_unverified_header(value) == {"alg": "HS256", "typ": "JWT", "kid": ID}
            claims = jwt.decode(value, bytes.fromhex(SECRET), algorithms=["HS256"], audience="/admin/")
            assert 0 < claims["exp"] - claims["iat"] <= 300
            with pytest.raises(jwt.InvalidSignatureError):
                jwt.decode(value, bytes.fromhex("ac" * 32), algorithms=["HS256"], audience="/admin/")

    def test_keeps_to_the_rate(self, shelf: Any, tools: ConnectorTools, ghost: Ghost) -> None:
        paced: list[int] = []
        tools = replace(tools, pace=lambda: paced.append(len(ghost.calls)))
        connector(tools, ghost.url).publish(shelf.publication())
        assert paced == [1, 2, 3, 4, 5], "the first call's token is taken already"

    @pytest.mark.parametrize(
        ("answer", "permanent", "refused", "said"),
        [
            ((401, refusal("Unknown Admin API Key")), False, True, "take the Admin API key"),
            ((401, refusal("Invalid token: jwt expired")), False, True, "clock"),
            ((403, refusal()), False, True, "custom integration"),
            ((404, refusal("Resource not found error")), True, False, "Resource not found"),
            ((404, "<h1>Not here</h1>"), False, True, "no Ghost"),
            ((301, "moved"), False, True, "final address"),
            ((200, "<html>a page</html>"), False, True, "no Ghost"),
            ((406, refusal()), True, False, "406: No. Because."),
            ((422, refusal()), True, False, "422"),
            ((429, refusal()), False, False, "429"),
            ((503, "<h1>maintenance</h1>"), False, False, "503"),
            ((200, {"tags": []}), False, False, "no posts in it"),
            ((200, {"posts": [{"id": "../x"}]}), False, False, "without its id"),
            ((200, {"posts": 3}), False, False, "no posts in it"),
        ],
    )
    def test_tells_what_can_be_tried_again(
        self,
        shelf: Any,
        tools: ConnectorTools,
        ghost: Ghost,
        answer: Answer,
        permanent: bool,
        refused: bool,
        said: str,
    ) -> None:
        ghost.answers["GET /posts/"] = answer
        with pytest.raises(DeliveryFailed, match=said) as failed:
            connector(tools, ghost.url).publish(shelf.publication())
        assert (failed.value.permanent, failed.value.refused) == (permanent, refused), failed.value
        assert ID not in str(failed.value)
        assert len(ghost.calls) == 1

    def test_no_answer_may_have_had_its_effect(
        self, shelf: Any, tools: ConnectorTools, ghost: Ghost, nobody_listens: int
    ) -> None:
        ghost.answers["POST /posts/"] = None
        with pytest.raises(Unanswered):
            connector(tools, ghost.url).publish(shelf.publication())
        with pytest.raises(DeliveryFailed) as failed:
            connector(tools, f"http://127.0.0.1:{nobody_listens}").publish(shelf.publication())
        assert not isinstance(failed.value, Unanswered)

    @pytest.mark.parametrize("answer", [(413, "<h1>too large</h1>"), (415, refusal("Unsupported"))])
    def test_links_what_ghost_does_not_take(
        self, shelf: Any, tools: ConnectorTools, ghost: Ghost, answer: Answer
    ) -> None:
        ghost.answers |= {"POST /media/upload/": answer, "POST /images/upload/": answer}
        published = connector(tools, ghost.url).publish(shelf.publication())
        assert published.remark.startswith("the video is linked, for 30 days: ")
        assert "without a feature image" in published.remark
        assert ghost.post is not None
        assert "https://relay.test/media/v?a=1&b=2" in ghost.post["lexical"]
        assert ghost.post["og_image"] is None

    @pytest.mark.parametrize(
        "url",
        ['https://x.test/v.mp4"onerror=alert(1)', "javascript:alert(1)", "https://x.test/v).mp4", None, 3],
    )
    def test_takes_no_address_that_would_act(
        self, shelf: Any, tools: ConnectorTools, ghost: Ghost, url: object
    ) -> None:
        ghost.answers["POST /media/upload/"] = (201, {"media": [{"url": url}]})
        with pytest.raises(DeliveryFailed, match="no address for an uploaded file"):
            connector(tools, ghost.url).publish(shelf.publication())

    def test_has_no_poster_to_show(self, shelf: Any, tools: ConnectorTools, ghost: Ghost) -> None:
        shelf.poster = None
        ghost.answers["POST /media/upload/"] = (201, {"media": [{"url": f"{ghost.url}/v.mp4"}]})
        connector(tools, ghost.url).publish(shelf.publication())
        assert "POST /images/upload/" not in ghost.calls

    def test_gives_way_to_somebody_who_saves_all_the_time(
        self, shelf: Any, tools: ConnectorTools, ghost: Ghost
    ) -> None:
        ghost.answers[f"PUT /posts/{POST}/"] = (409, refusal("Saving failed!"))
        with pytest.raises(DeliveryFailed, match="somebody saves") as failed:
            connector(tools, ghost.url).publish(shelf.publication())
        assert (failed.value.permanent, failed.value.retry_after) == (False, 60)
        assert 2 < ghost.calls.count(f"PUT /posts/{POST}/") < 10

    def test_a_post_that_has_just_been_deleted_is_tried_again(
        self, shelf: Any, tools: ConnectorTools, ghost: Ghost
    ) -> None:
        ghost.answers[f"PUT /posts/{POST}/"] = (404, refusal("Resource not found"))
        with pytest.raises(DeliveryFailed, match="deleted") as failed:
            connector(tools, ghost.url).publish(shelf.publication())
        assert not failed.value.permanent

    def test_goes_on_where_it_was_killed(self, shelf: Any, tools: ConnectorTools, ghost: Ghost) -> None:
        shelf.stop_after_saves = 1
        with pytest.raises(BaseException, match=r"^$"):
            connector(tools, ghost.url).publish(shelf.publication())
        shelf.stop_after_saves = None
        connector(tools, ghost.url).publish(shelf.publication())
        assert ghost.calls.count("POST /media/upload/") == 1

    def test_stops_before_each_costly_part(self, shelf: Any, tools: ConnectorTools, ghost: Ghost) -> None:
        class Stopped(Exception):
            pass

        def check() -> None:
            raise Stopped

        for done, before in (({}, "POST /media/upload/"), ({"shown": True}, f"PUT /posts/{POST}/")):
            if done:
                connector(tools, ghost.url).publish(shelf.publication())
                ghost.calls.clear()
            with pytest.raises(Stopped):
                connector(tools, ghost.url).publish(replace(shelf.publication(title="Anew"), check=check))
            assert before not in ghost.calls


class TestNewsletter:
    """When Ghost is asked to mail; tests/places holds that it mails once."""

    def asked(self, ghost: Ghost) -> list[bool]:
        """For each change of a post, whether it was asked to mail it."""
        return [
            "newsletter" in query
            for call, query in zip(ghost.calls, ghost.queries, strict=True)
            if "PUT" in call
        ]

    def mailing(self, tools: ConnectorTools, ghost: Ghost) -> GhostConnector:
        ghost.answers["GET /newsletters/"] = (200, {"newsletters": [{"id": "1"}]})
        return connector(tools, ghost.url, newsletter="weekly")

    def test_is_asked_for_once(self, shelf: Any, tools: ConnectorTools, ghost: Ghost) -> None:
        for title in ("One", "Two", "Three"):
            published = self.mailing(tools, ghost).publish(shelf.publication(title=title))
            shelf.saved = dict(published.reference)
        assert self.asked(ghost) == [True, False, False]

    def test_says_so_before_it_asks(self, shelf: Any, tools: ConnectorTools, ghost: Ghost) -> None:
        ghost.answers[f"PUT /posts/{POST}/"] = None
        with pytest.raises(Unanswered):
            self.mailing(tools, ghost).publish(shelf.publication())
        assert shelf.saved["mailing"] == POST
        # the post that was perhaps mailed is gone, and another one stands in its place
        other = "f" * 24
        assert ghost.post is not None
        ghost.post["id"] = other
        ghost.answers.clear()
        published = self.mailing(tools, ghost).publish(shelf.publication())
        assert self.asked(ghost) == [True, False]
        assert published.remark.startswith("not mailed")

    def test_is_not_asked_for_where_ghost_says_that_it_went(
        self, shelf: Any, tools: ConnectorTools, ghost: Ghost
    ) -> None:
        self.mailing(tools, ghost).publish(shelf.publication())
        assert ghost.post is not None
        ghost.post |= {"status": "draft", "email": {"status": "failed", "error": "No mail service"}}
        published = self.mailing(tools, ghost).publish(replace(shelf.publication(), reference={}))
        assert self.asked(ghost) == [True, False]
        assert published.remark == "Ghost could not send the newsletter: No mail service"

    def test_a_mailed_post_is_never_deleted(self, shelf: Any, tools: ConnectorTools, ghost: Ghost) -> None:
        self.mailing(tools, ghost).publish(shelf.publication())
        assert ghost.post is not None
        ghost.post["email"] = {"status": "submitted"}
        withdrawn = self.mailing(tools, ghost).withdraw(shelf.withdrawal())
        assert (ghost.post["status"], withdrawn.reference["post"]) == ("draft", POST)
        assert not [call for call in ghost.calls if call.startswith("DELETE")]


def test_what_another_site_has_is_not_taken_for_here(shelf: Any, tools: ConnectorTools, ghost: Ghost) -> None:
    there = {"site": "https://other.test", "post": "e" * 24, "placed": True, "mailing": "d" * 24}
    connector(tools, ghost.url).publish(shelf.publication())
    files = {name: shelf.saved[name] for name in ("stem", "video", "image")}
    ghost.post = None
    ghost.calls.clear()
    shelf.saved = {**shelf.saved, **there, "video": "https://other.test/v.mp4"}
    connector(tools, ghost.url).publish(shelf.publication())
    assert {name: shelf.saved[name] for name in files} == files
    assert (shelf.saved["site"], shelf.saved["mailing"]) == (ghost.url, "d" * 24)
    assert "POST /media/upload/" in ghost.calls


def test_has_nobody_to_notify(tools: ConnectorTools, notice: Notice) -> None:
    with pytest.raises(DeliveryFailed, match=r"\[notices\]") as failed:
        connector(tools).notify(notice)
    assert failed.value.permanent


def test_trusts_a_private_authority(
    shelf: Any, tools: ConnectorTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    send: Callable[[Any], Any] = tools.http.send
    monkeypatch.setattr(tools.http, "send", lambda request: seen.append(request) or send(request))
    with pytest.raises(DeliveryFailed):
        connector(tools, "https://127.0.0.1:9", ca_file="own.pem").publish(shelf.publication())
    assert seen[0].ca_file == tools.base / "own.pem"


def test_refused_answers_keep_their_status(tools: ConnectorTools, ghost: Ghost) -> None:
    ghost.answers["GET /site/"] = (418, refusal())
    with pytest.raises(GhostRefused) as failed:
        connector(tools, ghost.url).check()
    assert failed.value.status == 418
