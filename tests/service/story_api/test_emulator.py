"""The contract: all ten calls of the client against the emulator, which shares nothing with it but the reference."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest

from service.emulator import EmulatorOptions, EmulatorServer
from service.outbound_http import HttpClient
from service.story_api import (
    AudioOption,
    Concat,
    CreateElements,
    CreateScenes,
    CreateStoryboard,
    CreateVideos,
    Element,
    Elements,
    IdeaToVideo,
    ImagesToVideo,
    InsufficientCredit,
    LimitReached,
    NotFound,
    Story,
    StoryApi,
    StoryStatus,
    Unauthorized,
    Unavailable,
    UrlToVideo,
    estimate,
    request_from_json,
)
from service.story_api import vocabulary as words

SHORT = {"scene_count": 1, "scene_duration": 1}
Clients = Callable[..., tuple[StoryApi, EmulatorServer]]


@pytest.fixture
def clients(http: HttpClient) -> Iterator[Clients]:
    """Makes an emulator and a client of it."""
    running: list[EmulatorServer] = []

    def make(**options: Any) -> tuple[StoryApi, EmulatorServer]:
        server = EmulatorServer(
            EmulatorOptions(**{"story_seconds": 0.05, "short_side": 90, **options})
        ).start()
        running.append(server)
        return StoryApi(url=server.url, key=server.key, http=http, timeout=20), server

    yield make
    for server in running:
        server.stop()


def finished(api: StoryApi, story_id: str) -> Story:
    """Polls, as people do: the emulator draws a real video in the meantime."""
    pause = threading.Event()
    for _ in range(400):
        story = api.get(story_id)
        if story.finished:
            return story
        pause.wait(0.05)
    raise AssertionError(f"not finished in 20 s: {story}")


def test_an_idea_becomes_a_video(clients: Clients) -> None:
    api, server = clients()
    request = IdeaToVideo(
        idea="A fox learns to skate. It falls. It laughs.",
        title="Fox",
        scene_count=2,
        scene_duration=1,
        aspect_ratio="9:16",
        audio_option=AudioOption(narrator="Bill"),
        elements=Elements(characters=(Element(name="Fox", description="red"),)),
    )
    submitted = api.idea_to_video(request)
    assert submitted.status in (StoryStatus.NEW, StoryStatus.PROCESSING)
    assert (submitted.title, submitted.aspect_ratio, submitted.video_url) == ("Fox", "9:16", None)
    story = finished(api, submitted.id)
    assert story.status is StoryStatus.SUCCESS
    assert story.progress == 100
    assert story.video_url is not None
    assert story.video_url.startswith(server.url)
    assert len(story.scenes) == 2
    assert all(scene.narration for scene in story.scenes)
    assert story.created_at is not None
    assert story.updated_at is not None
    assert story.updated_at >= story.created_at
    assert story.used_credits == estimate(request).credits


@pytest.mark.parametrize(
    "given",
    [
        ("idea", {"idea": "x", **SHORT}),
        ("idea", {"idea": "x", **SHORT, "video_tool": "Vidu", "audio_option": '{"native_audio": true}'}),
        ("idea", {"idea": "x", "scene_count": 2, "scene_duration": 3, "video_tool": "VeoLite"}),
        ("url", {"idea": "See https://example.com", **SHORT, "elements": {"objects": []}}),
        ("images", {"image_urls": ["https://e.com/1", "https://e.com/2"], "scene_duration": 1}),
    ],
)
def test_the_price_is_what_is_charged(clients: Clients, given: tuple[str, dict[str, Any]]) -> None:
    request = request_from_json(*given)
    price = estimate(request).credits
    api, _ = clients(credits=price)
    story = api.submit(request)
    assert story.id
    assert finished(api, story.id).used_credits == price
    with pytest.raises(InsufficientCredit):
        api.submit(request)


def test_every_name_of_the_automatic_calls_is_known_on_both_sides(clients: Clients) -> None:
    api, server = clients(story_seconds=600)
    for field, vocabulary in (
        ("image_tool", words.AutoImageTool),
        ("video_tool", words.AutoVideoTool),
        ("aspect_ratio", words.AspectRatio),
        ("language", words.Language),
    ):
        for name in get_args(vocabulary):
            api.submit(request_from_json("idea", {"idea": "x", **SHORT, field: name}))
    for voice in get_args(words.Narrator):
        api.submit(IdeaToVideo(idea="x", scene_count=1, audio_option=AudioOption(narrator=voice)))
    assert len(server.stories) == 5 + 9 + 5 + 10 + 22


def test_every_name_of_the_steps_is_known_on_both_sides(clients: Clients) -> None:
    api, _ = clients(story_seconds=600)
    story = api.create_storyboard(CreateStoryboard(idea="x", scene_count=1))
    for tool in get_args(words.ImageTool):
        api.create_elements(story.id, CreateElements(image_tool=tool))
        api.create_scenes(story.id, CreateScenes(image_tool=tool))
    for motion in get_args(words.VideoTool):
        made = api.create_storyboard(CreateStoryboard(idea="x", scene_count=1))
        api.create_scenes(made.id, CreateScenes())
        assert api.create_videos(made.id, CreateVideos(video_tool=motion, duration=1)).id == made.id


def test_step_by_step_to_a_video_and_its_end(clients: Clients) -> None:
    api, _ = clients()
    begun = api.create_storyboard(
        CreateStoryboard(idea="A pond freezes. A fox comes.", scene_count=2, title="Pond")
    )
    storyboard = dict(begun.raw["storyboard"])
    assert len(begun.scenes) == 2
    for step in (
        lambda: api.create_elements(begun.id, CreateElements(aspect_ratio="1:1", storyboard=storyboard)),
        lambda: api.create_scenes(begun.id, CreateScenes(audio_option=AudioOption(has_narration=False))),
        lambda: api.create_videos(begun.id, CreateVideos(title="Pond", duration=1, is_transition=True)),
    ):
        assert step().id == begun.id
    first = finished(api, begun.id)
    assert first.title == "Pond"
    assert api.concat(begun.id, Concat()).id == begun.id
    assert finished(api, begun.id).status is StoryStatus.SUCCESS
    deleted = api.delete(begun.id)
    assert deleted is not None
    assert deleted.id == begun.id
    with pytest.raises(NotFound) as gone:
        api.get(begun.id)
    assert gone.value.code == "NOT_FOUND"


def test_a_page_and_images_are_taken(clients: Clients) -> None:
    api, server = clients(story_seconds=600)
    api.url_to_video(UrlToVideo(idea="https://example.com/shop"))
    api.images_to_video(ImagesToVideo(image_urls=("https://example.com/1.jpg", "https://example.com/2.jpg")))
    assert len({story.id for story in server.stories}) == 2


def test_keys(clients: Clients, http: HttpClient) -> None:
    api, server = clients()
    api.check_key()
    with pytest.raises(Unauthorized) as refused:
        StoryApi(url=server.url, key="another-key", http=http).check_key()
    assert "another-key" not in str(refused.value)


def test_limits_say_when_to_come_back(clients: Clients) -> None:
    api, _ = clients(calls_per_minute=1)
    api.check_key()
    with pytest.raises(LimitReached) as refused:
        api.get("abc")
    assert refused.value.code == "REACHED_LIMIT"
    assert refused.value.retry_after is not None


def test_a_story_can_fail_and_says_why(clients: Clients) -> None:
    api, _ = clients(faults={"fail": 1.0})
    story = finished(api, api.submit(IdeaToVideo(idea="x", scene_count=1, scene_duration=1)).id)
    assert story.status is StoryStatus.FAIL
    assert story.message


@pytest.mark.parametrize(("fault", "made"), [("submit-500", 0), ("submit-timeout", 1)])
def test_after_a_broken_submit_nothing_tells_whether_there_is_a_story(
    clients: Clients, fault: str, made: int
) -> None:
    api, server = clients(faults={fault: 1.0}, hold_seconds=0.1)
    with pytest.raises(Unavailable) as failed:
        api.submit(IdeaToVideo(idea="x", scene_count=1, scene_duration=1))
    assert failed.value.sent
    assert len(server.stories) == made
