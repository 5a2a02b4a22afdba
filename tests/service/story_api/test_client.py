"""The client against a real server on loopback: what is sent, and what comes of each answer."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

import pytest
from examples import SHARING
from hypothesis import given, settings
from hypothesis import strategies as st

from service.outbound_http import HttpClient, Interrupted, Request, Response
from service.story_api import (
    BadAnswer,
    Concat,
    CreateElements,
    CreateScenes,
    CreateStoryboard,
    CreateVideos,
    FieldDetail,
    IdeaToVideo,
    ImagesToVideo,
    InsufficientCredit,
    Invalid,
    InvalidRequest,
    LimitReached,
    NotFound,
    Story,
    StoryApi,
    StoryApiError,
    StoryStatus,
    Unauthorized,
    Unavailable,
    UrlToVideo,
)

HOOK = "https://relay.example/webhooks/story/aaaa.bbbb.cccc"
IDEA = IdeaToVideo(idea="A fox learns to skate", scene_count=4)
IMAGES = ImagesToVideo(image_urls=("https://example.com/1.jpg",))


class TestWhatIsSent:
    CALLS: ClassVar[list[tuple[Callable[[StoryApi], Any], str, str, dict[str, Any] | None]]] = [
        (
            lambda api: api.idea_to_video(IDEA, HOOK),
            "POST",
            "/v2/story/idea-2-video",
            {"idea": "A fox learns to skate", "scene_count": 4, "webhook_url": HOOK},
        ),
        (
            lambda api: api.url_to_video(UrlToVideo(idea="https://example.com"), HOOK),
            "POST",
            "/v2/story/url-2-video",
            {"idea": "https://example.com", "webhook_url": HOOK},
        ),
        (
            lambda api: api.images_to_video(IMAGES, HOOK),
            "POST",
            "/v2/story/images-2-video",
            {"image_urls": ["https://example.com/1.jpg"], "webhook_url": HOOK},
        ),
        (
            lambda api: api.submit(IMAGES),
            "POST",
            "/v2/story/images-2-video",
            {"image_urls": ["https://example.com/1.jpg"]},
        ),
        (
            lambda api: api.create_storyboard(CreateStoryboard(idea="Füchse 🦊")),
            "POST",
            "/v2/story",
            {"idea": "Füchse 🦊"},
        ),
        (
            lambda api: api.create_elements("abc123", CreateElements(aspect_ratio="1:1")),
            "POST",
            "/v2/story/abc123/elements",
            {"aspect_ratio": "1:1"},
        ),
        (
            lambda api: api.create_scenes("abc123", CreateScenes()),
            "POST",
            "/v2/story/abc123/scenes",
            {},
        ),
        (
            lambda api: api.create_videos("abc123", CreateVideos(loop=2), HOOK),
            "POST",
            "/v2/story/abc123/videos",
            {"loop": 2, "webhook_url": HOOK},
        ),
        (lambda api: api.concat("abc123", Concat()), "POST", "/v2/story/abc123/concat", {}),
        (lambda api: api.get("abc123"), "GET", "/v2/story/abc123", None),
        (lambda api: api.delete("abc123"), "DELETE", "/v2/story/abc123", None),
    ]

    @pytest.mark.parametrize(("call", "method", "path", "body"), CALLS)
    def test_each_call(
        self,
        api: StoryApi,
        server: Any,
        key: str,
        call: Callable[[StoryApi], Any],
        method: str,
        path: str,
        body: dict[str, Any] | None,
    ) -> None:
        server.answers({"id": "abc123", "status": "new"})
        story = call(api)
        assert (story.id, story.status) == ("abc123", StoryStatus.NEW)
        [asked] = server.asked
        assert (asked.method, asked.path) == (method, path)
        assert asked.headers["X-Api-Key"] == key
        assert (json.loads(asked.body) if asked.body else None) == body
        assert asked.headers.get("Content-Type") == (None if body is None else "application/json")

    def test_an_id_is_encoded_into_the_path(self, api: StoryApi, server: Any) -> None:
        server.answers({"id": "a/b?c#d%2e é"})
        api.get(" a/b?c#d%2e é ")
        assert server.asked[0].path == "/v2/story/a%2Fb%3Fc%23d%252e%20%C3%A9"

    @pytest.mark.parametrize(
        "story_id", ["", " ", ".", "..", "a\nb", "a\x00", "x" * 201, "\ud800", "a\u202eb"]
    )
    def test_an_impossible_id_is_refused_before_the_call(
        self, api: StoryApi, server: Any, story_id: str
    ) -> None:
        calls: list[Callable[[], Any]] = [
            lambda: api.get(story_id),
            lambda: api.delete(story_id),
            lambda: api.concat(story_id, Concat()),
            lambda: api.create_elements(story_id, CreateElements()),
            lambda: api.create_scenes(story_id, CreateScenes()),
            lambda: api.create_videos(story_id, CreateVideos()),
        ]
        for call in calls:
            with pytest.raises(NotFound, match="1 to 200 characters") as refused:
                call()
            assert refused.value.status is None
            assert str(refused.value).isprintable()
        assert server.asked == []

    @pytest.mark.parametrize("hook", ["relay.example/x", "ftp://relay.example/t0ken", "https:// t0ken"])
    def test_an_impossible_webhook_address_is_refused_unseen(
        self, api: StoryApi, server: Any, hook: str
    ) -> None:
        with pytest.raises(InvalidRequest, match="webhook_url") as refused:
            api.submit(IDEA, hook)
        assert "t0ken" not in str(refused.value)
        assert server.asked == []

    def test_without_a_key_nothing_is_sent(self, server: Any, http: HttpClient) -> None:
        with pytest.raises(Unauthorized, match=r"no API key.*STORY_API_KEY") as refused:
            StoryApi(url=server.url, key="", http=http).submit(IDEA)
        assert not refused.value.sent
        assert server.asked == []

    def test_a_key_that_no_header_can_carry_is_not_sent(self, server: Any, http: HttpClient) -> None:
        with pytest.raises(Unavailable) as refused:
            StoryApi(url=server.url, key="s3cret-key\r\nX-More: 1", http=http).submit(IDEA)
        assert not refused.value.sent
        assert "s3cret" not in str(refused.value)
        assert server.asked == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "body", "kind", "code"),
        [
            (400, {"message": "No", "code": "BAD_REQUEST"}, Invalid, "BAD_REQUEST"),
            (401, {"message": "No", "code": "UNAUTHORIZED"}, Unauthorized, "UNAUTHORIZED"),
            (403, {"message": "No"}, Unauthorized, None),
            (
                402,
                {"message": "No", "code": "INSUFFICIENT_CREDIT"},
                InsufficientCredit,
                "INSUFFICIENT_CREDIT",
            ),
            (402, b"<html>", InsufficientCredit, None),
            (
                400,
                {"message": "No", "code": "INSUFFICIENT_CREDIT"},
                InsufficientCredit,
                "INSUFFICIENT_CREDIT",
            ),
            (400, {"message": "INSUFFICIENT_CREDIT"}, InsufficientCredit, "INSUFFICIENT_CREDIT"),
            (429, {"message": "No", "code": "REACHED_LIMIT"}, LimitReached, "REACHED_LIMIT"),
            (429, b"", LimitReached, None),
            (403, {"message": "reached_limit "}, LimitReached, "REACHED_LIMIT"),
            (400, {"detail": {"code": "REACHED_LIMIT"}}, LimitReached, "REACHED_LIMIT"),
            (500, {"data": {"message": "REACHED_LIMIT"}}, LimitReached, "REACHED_LIMIT"),
            (404, {"message": "No", "code": "NOT_FOUND"}, NotFound, "NOT_FOUND"),
            (404, {"detail": "Not Found"}, NotFound, None),
            (410, {}, NotFound, None),
            (400, {"message": "NOT_FOUND"}, NotFound, "NOT_FOUND"),
            (404, b"default backend - 404", BadAnswer, None),
            (404, [], BadAnswer, None),
            (422, {"detail": []}, Invalid, None),
            (409, {"message": "No"}, Invalid, None),
            (405, b"", Invalid, None),
            (408, b"", Unavailable, None),
            (425, b"", Unavailable, None),
            (500, b"<html>", Unavailable, None),
            (503, {"message": "No", "code": "MAINTENANCE_WINDOW"}, Unavailable, "MAINTENANCE_WINDOW"),
            (302, b"", BadAnswer, None),
        ],
    )
    def test_each_status_and_code(
        self,
        api: StoryApi,
        server: Any,
        status: int,
        body: Any,
        kind: type[StoryApiError],
        code: str | None,
    ) -> None:
        server.answers(body, status)
        for call in (lambda: api.get("abc123"), lambda: api.submit(IDEA, HOOK)):
            with pytest.raises(StoryApiError) as refused:
                call()
            assert type(refused.value) is kind
            assert (refused.value.status, refused.value.code) == (status, code)
            assert str(status) in str(refused.value)

    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422, 425, 429, 302])
    def test_a_refused_submit_had_no_effect(self, api: StoryApi, server: Any, status: int) -> None:
        server.answers({"message": "No"}, status)
        with pytest.raises(StoryApiError) as refused:
            api.submit(IDEA, HOOK)
        assert not refused.value.sent

    @pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 520])
    def test_a_submit_that_broke_may_have_had_its_effect(
        self, api: StoryApi, server: Any, status: int
    ) -> None:
        server.answers(b"<html>", status)
        with pytest.raises(Unavailable) as refused:
            api.submit(IDEA, HOOK)
        assert refused.value.sent

    def test_the_text_says_where_what_and_what_to_do(self, api: StoryApi, server: Any) -> None:
        server.answers({"message": "Only 3 credits left", "code": "INSUFFICIENT_CREDIT"}, 402)
        with pytest.raises(InsufficientCredit) as refused:
            api.submit(IDEA, HOOK)
        assert str(refused.value) == (
            "POST /v2/story/idea-2-video: the Story API answered 402 INSUFFICIENT_CREDIT: Only 3 credits left. "
            "Top up the account's credits, then try again."
        )
        assert refused.value.message == "Only 3 credits left"

    def test_validation_names_the_fields(self, api: StoryApi, server: Any) -> None:
        told = [
            {"loc": ["body", "scene_duration"], "msg": "7 is not supported by Vidu", "type": "value_error"},
            {"loc": "idea", "msg": "too\nlong", "input": HOOK},
            "odd",
            {},
        ]
        server.answers({"detail": told}, 422)
        with pytest.raises(
            Invalid, match="scene_duration: 7 is not supported by Vidu; idea: too long"
        ) as refused:
            api.submit(IDEA, HOOK)
        assert refused.value.detail[:2] == (
            FieldDetail("scene_duration", "7 is not supported by Vidu"),
            FieldDetail("idea", "too long"),
        )
        assert HOOK not in str(refused.value)

    @pytest.mark.parametrize(
        ("header", "seconds"), [("7", 7), ("0", 0), ("1.5", 1.5), ("soon", None), (None, None)]
    )
    def test_retry_after_is_told(
        self, api: StoryApi, server: Any, header: str | None, seconds: float | None
    ) -> None:
        server.answers({}, 429, **({"Retry_After": header} if header else {}))
        with pytest.raises(LimitReached) as refused:
            api.get("abc123")
        assert refused.value.retry_after == seconds

    def test_hostile_text_is_cut_and_cleaned(self, api: StoryApi, server: Any) -> None:
        hostile = "x\x1b[31m\r\n\u202e" * 5_000
        server.answers({"message": hostile, "detail": [{"loc": [hostile], "msg": hostile}] * 12}, 422)
        with pytest.raises(Invalid) as refused:
            api.get("abc123")
        assert len(str(refused.value)) < 5000
        assert str(refused.value).isprintable()

    @pytest.mark.parametrize("status", [200, 400, 401, 404, 422, 500])
    @pytest.mark.parametrize(
        "template",
        [
            {"message": "bad key {0}", "code": "{0}"},
            {"message": "{1}", "detail": [{"loc": ["{0}"], "msg": "{1} {0}"}]},
            {"code": "{0}"},
            {"{0}": 1, "detail": "{1}"},
            "{0} {1}",
        ],
    )
    def test_an_echo_of_the_key_or_the_webhook_address_is_not_repeated(
        self, api: StoryApi, server: Any, key: str, status: int, template: Any
    ) -> None:
        echo = json.dumps(template).replace("{0}", key).replace("{1}", HOOK)
        server.answers(echo.encode(), status, X_Echo=key)
        with pytest.raises(StoryApiError) as refused:
            api.submit(IDEA, HOOK)
        told = [str(refused.value), repr(refused.value), refused.value.message, refused.value.code or ""]
        told += [f"{each.field} {each.message}" for each in refused.value.detail]
        assert key.upper() not in " ".join(told).upper()
        assert "aaaa.bbbb" not in " ".join(told)

    def test_the_key_is_in_no_repr(self, api: StoryApi, key: str) -> None:
        assert key not in repr(api)
        assert "127.0.0.1" in repr(api)

    def test_a_login_in_the_base_address_is_in_no_repr(self, http: HttpClient) -> None:
        assert "hush" not in repr(StoryApi(url="http://me:hush@127.0.0.1:1", key="k", http=http))


class TestBadAnswers:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>Welcome</html>",
            b"{",
            b'{"id": "abc123"',
            b"\xff\xfe",
            b"[" * 100_000,
            b'{"x": ' * 100_000,
            b'{"id": ' + b"9" * 5000 + b"}",
            b"[]",
            b"null",
            b'"abc123"',
            b"{}",
            b'{"message": "ok"}',
            b'{"id": null}',
        ],
    )
    def test_no_story_after_a_submit_may_have_had_its_effect(
        self, api: StoryApi, server: Any, body: bytes
    ) -> None:
        server.answers(body)
        with pytest.raises(BadAnswer) as bad:
            api.submit(IDEA, HOOK)
        assert bad.value.sent
        assert bad.value.status == 200
        assert str(bad.value).startswith("POST /v2/story/idea-2-video: ")

    def test_an_answer_without_end_is_cut_off(self, api: StoryApi, server: Any) -> None:
        server.answers(b'{"id": "abc123", "x": "' + b"x" * (5 << 20) + b'"}')
        with pytest.raises(BadAnswer) as bad:
            api.submit(IDEA, HOOK)
        assert bad.value.sent

    def test_a_byte_order_mark_and_no_content_type_are_no_reason(self, api: StoryApi, server: Any) -> None:
        server.answers(b'\xef\xbb\xbf {"id": "abc123"}')
        server.headers = {}
        assert api.get("abc123").id == "abc123"

    def test_numbers_that_json_lacks_are_none(self, api: StoryApi, server: Any) -> None:
        server.answers(b'{"id": "abc123", "used_credits": NaN, "x": [1e999, -Infinity, 1.5]}')
        story = api.get("abc123")
        assert story.used_credits is None
        assert story.raw == {"id": "abc123", "used_credits": None, "x": [None, None, 1.5]}

    def test_another_story_is_not_the_one_that_was_asked_for(self, api: StoryApi, server: Any) -> None:
        server.answers({"id": "other"})
        with pytest.raises(BadAnswer, match="another story, other"):
            api.get("abc123")
        server.answers({"id": "ABC123"})
        assert api.get("abc123").id == "ABC123"

    @pytest.mark.parametrize("body", [b"{}", b"{ }", b"", b"\n"])
    def test_a_delete_may_answer_nothing(self, api: StoryApi, server: Any, body: bytes) -> None:
        server.answers(body)
        assert api.delete("abc123") is None

    @settings(SHARING, max_examples=60)
    @given(
        body=st.binary(max_size=200)
        | st.text().map(str.encode)
        | st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["id", "data", "detail", "message", "code", "loc", "msg", "status", "error"]
                    )
                    | st.text(max_size=5),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=8,
        ).map(lambda value: json.dumps(value).encode()),
        status=st.sampled_from([200, 201, 302, 400, 401, 402, 404, 410, 418, 422, 429, 500, 599]),
    )
    def test_any_answer_is_a_story_or_a_typed_error(
        self, api: StoryApi, server: Any, body: bytes, status: int
    ) -> None:
        server.answers(body, status)
        try:
            outcome: Story | StoryApiError = api.submit(IDEA)
        except StoryApiError as error:
            outcome = error
        assert isinstance(outcome, Story) == (status in (200, 201) and has_id(body))
        assert str(outcome).isprintable()


def has_id(body: bytes) -> bool:
    """Whether a lenient reader finds a story's id; written apart from the code under test."""
    try:
        told = json.loads(body.decode("utf-8-sig"))
    except ValueError:
        return False
    if not isinstance(told, dict):
        return False
    inner = told.get("data")
    return usable(told.get("id")) or (isinstance(inner, dict) and usable(inner.get("id")))


def usable(value: object) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return 0 <= value < 2**63
    if not isinstance(value, str):
        return False
    return value.strip().isprintable() and value.strip().strip(" .") != "" and "\ufffd" not in value


def _closes_without_answer(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


class TestNoAnswer:
    @pytest.fixture
    def held(self, server: Any) -> Iterator[None]:
        released = threading.Event()

        def holds(handler: BaseHTTPRequestHandler) -> None:
            handler.close_connection = released.wait(30)

        server.behaviour = holds
        yield
        released.set()

    def test_a_refused_connection_sent_nothing(self, http: HttpClient) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        api = StoryApi(url=f"http://127.0.0.1:{port}", key="k3y-of-test", http=http)
        with pytest.raises(Unavailable) as failed:
            api.submit(IDEA, HOOK)
        assert not failed.value.sent
        assert failed.value.status is None
        assert "127.0.0.1" in str(failed.value)

    def test_a_closed_connection_may_have_had_its_effect(self, api: StoryApi, server: Any) -> None:
        server.behaviour = _closes_without_answer
        with pytest.raises(Unavailable) as failed:
            api.submit(IDEA, HOOK)
        assert failed.value.sent
        assert server.asked

    @pytest.mark.usefixtures("held")
    def test_a_timeout_may_have_had_its_effect(self, server: Any, http: HttpClient, key: str) -> None:
        api = StoryApi(url=server.url, key=key, http=http, timeout=0.3)
        with pytest.raises(Unavailable) as failed:
            api.submit(IDEA, HOOK)
        assert failed.value.sent
        assert key not in str(failed.value)
        assert server.asked

    @pytest.mark.parametrize(
        ("call", "seconds"),
        [
            (lambda api: api.get("abc123"), 60),
            (lambda api: api.submit(IDEA), 60),
            (lambda api: api.create_videos("abc123", CreateVideos()), 60),
            (lambda api: api.create_elements("abc123", CreateElements()), 120),
            (lambda api: api.create_scenes("abc123", CreateScenes()), 180),
            (lambda api: api.concat("abc123", Concat()), 180),
        ],
    )
    def test_calls_that_draw_have_longer(
        self, server: Any, key: str, call: Callable[[StoryApi], Any], seconds: float
    ) -> None:
        timeouts: list[float] = []

        class Watched(HttpClient):
            def send(self, request: Request) -> Response:
                timeouts.append(request.timeout)
                return super().send(request)

        client = Watched()
        call(StoryApi(url=server.url, key=key, http=client))
        client.close()
        assert timeouts == [seconds]

    def test_nothing_is_sent_twice(self, api: StoryApi, server: Any) -> None:
        server.behaviour = _closes_without_answer
        with pytest.raises(Unavailable):
            api.submit(IDEA, HOOK)
        assert len(server.asked) == 1

    def test_a_worker_that_must_stop_is_told_so_unchanged(self, server: Any, key: str) -> None:
        server.behaviour = _closes_without_answer
        client = HttpClient(stop=lambda: "worker ends")
        with pytest.raises(Interrupted):
            StoryApi(url=server.url, key=key, http=client).get("abc123")
        client.close()


class TestCheckKey:
    def test_the_apis_own_404_says_that_the_key_is_good(self, api: StoryApi, server: Any) -> None:
        server.answers({"message": "Story not found", "code": "NOT_FOUND"}, 404)
        api.check_key()
        assert server.asked[0].method == "GET"

    @pytest.mark.parametrize("body", [b"<html>", {"detail": "Not Found"}])
    def test_a_404_by_somebody_else_does_not(self, api: StoryApi, server: Any, body: Any) -> None:
        server.answers(body, 404)
        with pytest.raises(BadAnswer, match="STORY_API_URL"):
            api.check_key()

    def test_a_wrong_key(self, api: StoryApi, server: Any) -> None:
        server.answers({"message": "Invalid key"}, 401)
        with pytest.raises(Unauthorized, match="STORY_API_KEY"):
            api.check_key()
