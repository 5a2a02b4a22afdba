"""What fits no schema gets 422 and names the field; what makes no sense gets 400."""

import pytest

IDEA = {"idea": "A fox."}
IMAGES = {"image_urls": ["https://example.com/1.jpg"]}
AUTOMATIC = [
    ("/v2/story/idea-2-video", IDEA),
    ("/v2/story/url-2-video", {"idea": "https://example.com/"}),
    ("/v2/story/images-2-video", IMAGES),
]
WRONG_IN_ALL = [
    ("video_tool", "Sora"),
    ("video_tool", None),
    ("scene_duration", 0),
    ("scene_duration", 21),
    ("scene_duration", "5"),
    ("scene_duration", 5.5),
    ("aspect_ratio", "21:9"),
    ("aspect_ratio", None),
    ("is_transition", "Yes"),
    ("language", "Klingon"),
    ("language", "english"),
    ("title", 5),
    ("title", None),
    ("webhook_url", None),
    ("idea", 5),
    ("audio_option", {"narrator": "Nobody"}),
    ("audio_option", {"has_bg_music": 1}),
    ("audio_option", "loud"),
    ("audio_option", '{"native_audio": "no"}'),
    ("audio_option", []),
]
WRONG_BY_COUNT = [("scene_count", 0), ("scene_count", -1), ("scene_count", True), ("image_tool", "FluxPro")]
WRONG_ELEMENTS = [
    {"scenes": []},
    {"animals": []},
    {"characters": {}},
    {"characters": [{"name": "Fox"}]},
    {"characters": [{"description": "red"}]},
    {"objects": ["Fox"]},
    [],
]
STEPS = [
    ("elements", {"image_tool": "Paint"}),
    ("elements", {"aspect_ratio": "2:1"}),
    ("elements", {"storyboard": {"characters": [], "environments": [], "objects": []}}),
    ("elements", {"storyboard": []}),
    ("scenes", {"image_tool": "Sora"}),
    ("scenes", {"audio_option": "{}"}),
    ("scenes", {"storyboard": {"scenes": {}}}),
    ("videos", {"video_tool": "AutoI"}),
    ("videos", {"duration": 0}),
    ("videos", {"duration": 11}),
    ("videos", {"loop": 0}),
    ("videos", {"loop": 7}),
    ("videos", {"is_transition": 1}),
    ("videos", {"webhook_url": 5}),
    ("concat", {"concat_video_urls": "https://example.com/1.mp4"}),
    ("concat", {"audio_urls": [1]}),
]


def assert_invalid(answer, field):
    assert answer.status == 422, answer.body
    for problem in answer.json["detail"]:
        assert set(problem) == {"loc", "msg", "type"}
        assert problem["loc"][:2] == ["body", field]
        assert problem["msg"]
        assert problem["type"]


@pytest.mark.parametrize(("path", "body"), AUTOMATIC)
@pytest.mark.parametrize(("field", "value"), WRONG_IN_ALL)
def test_the_automatic_calls_refuse(shared, path, body, field, value):
    assert_invalid(shared.post(path, {**body, field: value}), field)


@pytest.mark.parametrize(("path", "body"), AUTOMATIC[:2])
@pytest.mark.parametrize(("field", "value"), WRONG_BY_COUNT)
def test_the_calls_with_a_count_refuse(shared, path, body, field, value):
    assert_invalid(shared.post(path, {**body, field: value}), field)


@pytest.mark.parametrize("path", ["/v2/story/idea-2-video", "/v2/story/url-2-video", "/v2/story"])
@pytest.mark.parametrize("elements", WRONG_ELEMENTS)
def test_elements_are_lists_of_named_things_and_never_scenes(shared, path, elements):
    assert_invalid(shared.post(path, {"idea": "https://example.com", "elements": elements}), "elements")


@pytest.mark.parametrize("path", ["/v2/story/idea-2-video", "/v2/story/url-2-video", "/v2/story"])
def test_an_idea_is_required(shared, path):
    problem = shared.post(path, {}).json["detail"]
    assert problem == [{"loc": ["body", "idea"], "msg": "Field required", "type": "missing"}]


@pytest.mark.parametrize("value", [None, [], "https://example.com/1.jpg", [5]])
def test_image_urls_are_required_and_not_empty(shared, value):
    body = {} if value is None else {"image_urls": value}
    assert_invalid(shared.post("/v2/story/images-2-video", body), "image_urls")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scene_count", 0),
        ("audio_option", "{}"),
        ("aspect_ratio", "21:9"),
        ("image_urls", None),
        ("story_id", 5),
        ("language", None),
    ],
)
def test_the_storyboard_call_refuses(shared, field, value):
    assert_invalid(shared.post("/v2/story", {**IDEA, field: value}), field)


@pytest.mark.parametrize(("step", "body"), STEPS)
def test_the_steps_refuse(shared, step, body):
    story_id = shared.post("/v2/story", IDEA).json["id"]
    assert_invalid(shared.post(f"/v2/story/{story_id}/{step}", body), next(iter(body)))


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("/v2/story/idea-2-video", {"idea": " \n"}, "idea"),
        ("/v2/story", {"idea": ""}, "idea"),
        ("/v2/story/url-2-video", {"idea": "no address here"}, "URL"),
        ("/v2/story/images-2-video", {"image_urls": ["ftp://example.com/1.jpg"]}, "image_urls[0]"),
        ("/v2/story/idea-2-video", {**IDEA, "webhook_url": "ftp://example.com"}, "webhook_url"),
        ("/v2/story/idea-2-video", {**IDEA, "webhook_url": "http://[::1"}, "webhook_url"),
        ("/v2/story/idea-2-video", {**IDEA, "webhook_url": "http://h/\r\nX: y"}, "webhook_url"),
        ("/v2/story/idea-2-video", {**IDEA, "scene_count": 61, "scene_duration": 10}, "610 s"),
        ("/v2/story", {**IDEA, "scene_count": 10**9}, "scene_count"),
        ("/v2/story/idea-2-video", {"idea": "A fox [fault:no-such-thing]"}, "no-such-thing"),
        ("/v2/story/idea-2-video", {"idea": "A fox [fault:webhook-late=soon]"}, "soon"),
    ],
)
def test_nonsense_gets_400_with_a_message_that_names_it(shared, path, body, word):
    answer = shared.post(path, body)
    assert (answer.status, answer.json["code"]) == (400, "BAD_REQUEST")
    assert word in answer.json["message"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"idea"', b"\xff", b'{"idea": "\\ud800"}', b"[" * 5000])
def test_what_is_no_json_object_gets_422(shared, raw):
    headers = {"X-Api-Key": shared.key, "Content-Type": "application/json"}
    answer = shared.send("POST", shared.server.url + "/v2/story/idea-2-video", raw, headers)
    assert answer.status == 422
    assert answer.json["detail"][0]["loc"][0] == "body"


def test_a_form_is_refused_with_a_hint(shared):
    answer = shared.call(
        "POST", "/v2/story/idea-2-video", IDEA, Content_Type="application/x-www-form-urlencoded"
    )
    assert answer.status == 422
    assert "application/json" in answer.json["detail"][0]["msg"]


def test_a_body_over_a_mebibyte_is_refused(shared):
    answer = shared.post("/v2/story/idea-2-video", {"idea": "x" * (1 << 20)})
    assert (answer.status, answer.json["code"]) == (413, "REQUEST_ENTITY_TOO_LARGE")


def test_unknown_paths_and_methods_answer_in_the_apis_shape(shared):
    assert shared.call("GET", "/v3/story").json["code"] == "NOT_FOUND"
    assert shared.call("PUT", "/v2/story").json["code"] == "METHOD_NOT_ALLOWED"
