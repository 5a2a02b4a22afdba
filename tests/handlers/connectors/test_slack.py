import hashlib
import json
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from handlers.connectors.slack import SlackConnector, SlackOptions, _BotForm
from handlers.connectors.slack_api import SlackApi
from handlers.connectors.slack_bot import SCOPES, UPLOAD_SCOPES
from handlers.connectors.slack_files import SlackFiles
from handlers.message_text import BrokenTemplate
from service.connectors import ConnectorTools, connector_class
from service.domain.delivery import DeliveryFailed, Notice
from service.stand_ins.slack import SCOPES as GIVEN
from service.stand_ins.slack import SlackFault, SlackStandIn

Make = Callable[..., SlackConnector]
VIDEO = f"video-{'ab' * 6}.mp4"
LOST = [SlackFault(drop=True, after_effect=True), SlackFault(hold=True, after_effect=True)]


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with SlackStandIn(channels=("general", "videos", "!secret", "-old")) as stand_in:
        yield stand_in


@pytest.fixture
def make(slack: SlackStandIn, tools: ConnectorTools) -> Make:
    return lambda **others: connector(slack, tools, **others)


def connector(slack: SlackStandIn, tools: ConnectorTools, **others: Any) -> SlackConnector:
    given = {"token": "xoxb-stand-in", "channel": "#videos", "api_url": slack.api_url, "timeout": 1}
    return SlackConnector(SlackOptions.model_validate({**given, **others}), tools)


def methods(slack: SlackStandIn) -> list[str]:
    return [method for method, _ in slack.calls]


def blocks(slack: SlackStandIn, kind: str) -> list[dict[str, Any]]:
    return [block for block in slack.messages[-1].blocks if block["type"] == kind]


def test_is_found_by_its_name() -> None:
    assert connector_class("slack") is SlackConnector


def test_one_message_with_the_video_in_its_thread(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    published = make().publish(shelf.publication())
    (message,) = slack.messages
    assert (
        published.url
        == f"https://stand-in.slack.test/archives/{message.channel}/p{message.ts.replace('.', '')}"
    )
    assert published.remark == ""
    assert blocks(slack, "header")[0]["text"]["text"] == "A letter"
    idea, facts = (block["text"]["text"] for block in blocks(slack, "section"))
    assert idea == "A lighthouse keeper finds a letter."
    assert "*0:15* · 1280 × 720 · 16:9 ·" in facts
    assert "150 credits" in facts
    assert "<https://relay.test/media/v?a=1&amp;b=2|Watch the video>" in facts
    poster, video = slack.files
    assert blocks(slack, "image")[0]["slack_file"] == {"id": poster.id}
    assert (video.title, video.sha256) == ("A letter", hashlib.sha256(shelf.video.read_bytes()).hexdigest())
    assert [reply.files for reply in slack.replies(message)] == [[video.id]]
    assert poster.shares == {}
    assert message.metadata == {
        "event_type": "storyrelay_story",
        "event_payload": {
            "key": "storyrelay-1-team",
            "message_id": "step-1",
            "revision": 1,
            "story_id": "story-1",
        },
    }


@pytest.mark.parametrize(
    ("upload", "files"), [("video", ["poster.jpg", VIDEO]), ("poster", ["poster.jpg"]), ("link", [])]
)
def test_uploads_what_is_wanted(
    shelf: Any, slack: SlackStandIn, make: Make, upload: str, files: list[str]
) -> None:
    make(upload=upload).publish(shelf.publication())
    assert [file.name for file in slack.files] == files
    image = blocks(slack, "image")[0]
    assert (image.get("image_url") == "https://relay.test/media/p") == (upload == "link")


def test_a_video_over_the_limit_is_linked(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    published = make(upload_limit=100).publish(shelf.publication())
    assert [file.name for file in slack.files] == ["poster.jpg"]
    assert "over upload_limit" in published.remark


def test_a_poster_that_slack_could_not_fetch_is_left_out(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    place = make(upload="link")
    for poster in (
        None,
        "http://relay.test/p",
        "https://localhost/p",
        "https://[::1]/p",
        "https://127.0.0.1/p",
    ):
        publication = shelf.publication()
        place.publish(
            replace(
                publication, reference={}, key=f"of {poster}", links=replace(publication.links, poster=poster)
            )
        )
        assert blocks(slack, "image") == []
    assert len(slack.messages) == 5


def test_a_story_without_poster_title_or_credits(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    shelf.poster = shelf.captions = None
    make().publish(shelf.publication(title="", idea="", used_credits=None))
    assert blocks(slack, "header")[0]["text"]["text"] == "story-1"
    assert len(slack.messages[0].blocks) == 2


def test_hostile_texts_stay_texts(shelf: Any, slack: SlackStandIn, make: Make, hostile: str) -> None:
    make().publish(shelf.publication(title=hostile, idea="idea " + hostile, aspect_ratio=hostile))
    (message,) = slack.messages
    header = blocks(slack, "header")[0]["text"]
    assert (header["type"], header["emoji"]) == ("plain_text", False)
    assert header["text"].startswith(
        "\"Quotes\" 'n' <script>alert(1)</script> & <!channel> <http://evil.test|click> Bcc:"
    )
    assert "\n" not in header["text"]
    assert "\u202e" not in str(message.blocks)
    idea, facts = (block["text"] for block in blocks(slack, "section"))
    assert (idea["type"], idea["emoji"]) == ("plain_text", False)
    assert (facts["type"], facts["verbatim"]) == ("mrkdwn", True)
    for mrkdwn in (facts["text"], message.text):
        assert "<script>" not in mrkdwn
        assert "<!channel>" not in mrkdwn
        assert "<http://evil" not in mrkdwn


@pytest.mark.parametrize("length", [149, 150, 151, 10_000])
@pytest.mark.parametrize("letter", ["x", "&", "🎬", "é", "ש"])
def test_any_length_fits(shelf: Any, slack: SlackStandIn, make: Make, letter: str, length: int) -> None:
    make(upload="link").publish(shelf.publication(title=letter * length, idea="i" + letter * length))
    assert len(slack.messages) == 1


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("method", ["chat.postMessage", "files.completeUploadExternal"])
def test_a_lost_answer_doubles_nothing(
    shelf: Any, slack: SlackStandIn, make: Make, method: str, fault: SlackFault
) -> None:
    slack.fail_next(method, fault)
    with pytest.raises(DeliveryFailed) as failed:
        make().publish(shelf.publication())
    assert (failed.value.permanent, failed.value.refused) == (False, False)
    make().publish(shelf.publication())
    (message,) = slack.messages
    assert len(slack.replies(message)) == 1


def test_an_upload_without_an_answer_is_made_again(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    slack.fail_next("upload", SlackFault(drop=True, after_effect=True))
    with pytest.raises(DeliveryFailed, match=r"poster\.jpg"):
        make().publish(shelf.publication())
    make().publish(shelf.publication())
    assert [file.name for file in slack.files] == ["poster.jpg", VIDEO]


def test_the_video_is_shared_once_after_a_lost_answer(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    slack.fail_next("files.completeUploadExternal", SlackFault(drop=True, after_effect=True))
    shelf.poster = None
    with pytest.raises(DeliveryFailed):
        make().publish(shelf.publication())
    make().publish(shelf.publication())
    assert len(slack.replies(slack.messages[0])) == 1
    assert methods(slack).count("upload") == 1
    assert methods(slack).count("chat.postMessage") == 1


def test_a_video_that_slack_is_still_working_up_is_waited_for(shelf: Any, tools: ConnectorTools) -> None:
    shelf.poster = None
    with SlackStandIn(processing=5) as slack:
        slack.fail_next("files.completeUploadExternal", SlackFault(drop=True, after_effect=True))
        with pytest.raises(DeliveryFailed):
            at_once(connector(slack, tools, channel="C0STANDIN00")).publish(shelf.publication())
        with pytest.raises(DeliveryFailed, match="does not show it yet") as failed:
            at_once(connector(slack, tools, channel="C0STANDIN00")).publish(shelf.publication())
        assert failed.value.retry_after == 60
        at_once(connector(slack, tools, channel="C0STANDIN00")).publish(shelf.publication())
        assert methods(slack).count("upload") == 1


def at_once(place: SlackConnector) -> SlackConnector:
    """Looks at files without pauses, and only twice."""
    form = place._form
    assert isinstance(form, _BotForm)
    place._form = replace(form, files=replace(form.files, looks=(0.0,)))
    return place


def test_a_video_that_slack_took_and_never_showed_is_sent_again(
    shelf: Any, slack: SlackStandIn, make: Make
) -> None:
    shelf.poster = None
    slack.fail_next("files.completeUploadExternal", SlackFault(drop=True))
    with pytest.raises(DeliveryFailed):
        make().publish(shelf.publication())
    make().publish(shelf.publication())
    assert len(slack.replies(slack.messages[0])) == 1
    assert methods(slack).count("upload") == 2


@pytest.mark.parametrize("saves", range(1, 6))
def test_a_crash_between_the_parts_goes_on_from_there(
    shelf: Any, slack: SlackStandIn, make: Make, saves: int
) -> None:
    shelf.stop_after_saves = saves
    with pytest.raises(BaseException, match=r"^$"):
        make().publish(shelf.publication())
    make().publish(shelf.publication())
    (message,) = slack.messages
    assert len(slack.replies(message)) == 1
    assert methods(slack).count("chat.postMessage") == 1


def test_a_crash_before_anything_was_saved_after_the_post(
    shelf: Any, slack: SlackStandIn, make: Make
) -> None:
    """The worst moment: the message is there, and nothing says so but that it was asked for."""
    place = make()
    shelf.stop_after_saves = 3
    with pytest.raises(BaseException, match=r"^$"):
        place.publish(shelf.publication())
    assert shelf.saved["ts"] is not None
    shelf.saved |= {"ts": None, "written": False, "asked_at": float(slack.messages[0].ts)}
    place.publish(shelf.publication())
    assert len(slack.messages) == 1


def test_looks_far_back_among_others(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    slack.fail_next("chat.postMessage", SlackFault(status=500, after_effect=True))
    place = make(upload="link")
    with pytest.raises(DeliveryFailed):
        place.publish(shelf.publication())
    for _ in range(450):
        slack.workspace.post(
            {"channel": "#videos", "text": "chatter", "metadata": {"event_type": "x", "event_payload": {}}}
        )
    place.publish(shelf.publication())
    assert methods(slack).count("conversations.history") == 1 + 3
    assert methods(slack).count("chat.postMessage") == 1


def test_a_revision_updates_the_message(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    place = make()
    place.publish(shelf.publication())
    place.publish(shelf.publication(message="step-2", revision=2, title="A new letter"))
    (message,) = slack.messages
    assert message.edited
    assert blocks(slack, "header")[0]["text"]["text"] == "A new letter"
    assert message.metadata is not None
    assert message.metadata["event_payload"]["revision"] == 2
    assert [reply.text for reply in slack.replies(message)] == ["", "Revision 2"]


def test_a_revision_finds_the_message_by_its_key(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    place = make(upload="link")
    place.publish(shelf.publication())
    shelf.saved = {}
    place.publish(shelf.publication(message="step-2", revision=2))
    assert [m.edited for m in slack.messages] == [True]


def test_a_revision_of_a_removed_message_is_posted(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    place = make(upload="link")
    place.publish(shelf.publication())
    slack.workspace.messages.clear()
    published = place.publish(shelf.publication(message="step-2", revision=2))
    assert "posted a new one" in published.remark
    assert len(slack.messages) == 1


def test_a_wanted_repeat_is_a_second_message(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    place = make()
    place.publish(shelf.publication())
    place.publish(shelf.publication(repeat=1))
    place.publish(shelf.publication(repeat=1))
    assert [m.metadata["event_payload"]["message_id"] for m in slack.messages if m.metadata] == [
        "step-1",
        "step-1-1",
    ]
    assert [len(slack.replies(m)) for m in slack.messages] == [1, 1]


@pytest.mark.parametrize(
    ("code", "permanent", "refused"),
    [
        ("restricted_action_thread_only_channel", False, True),
        ("msg_too_long", True, False),
        ("metadata_too_large", True, False),
        ("ratelimited", False, False),
        ("message_limit_exceeded", False, False),
        ("fatal_error", False, False),
        ("something_new", False, False),
    ],
)
def test_what_a_code_means(
    shelf: Any, slack: SlackStandIn, make: Make, code: str, permanent: bool, refused: bool
) -> None:
    slack.fail_next("chat.postMessage", SlackFault(error=code))
    with pytest.raises(DeliveryFailed) as failed:
        make(upload="link").publish(shelf.publication())
    assert (failed.value.permanent, failed.value.refused) == (permanent, refused)
    make(upload="link").publish(shelf.publication())
    assert len(slack.messages) == 1
    # a clear no needs no second look
    assert methods(slack).count("conversations.history") == (2 if code == "fatal_error" else 1)


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (SlackFault(status=429, error="ratelimited", retry_after="30"), 30.0),
        (SlackFault(status=429, retry_after="0.5"), 0.5),
        (SlackFault(status=200, error="ratelimited", retry_after="7"), 7.0),
        (SlackFault(status=503, retry_after="9"), 9.0),
        (SlackFault(status=429, error="ratelimited", retry_after="later"), None),
    ],
)
def test_honours_retry_after(
    shelf: Any, slack: SlackStandIn, make: Make, fault: SlackFault, seconds: float | None
) -> None:
    slack.fail_next("chat.postMessage", fault)
    with pytest.raises(DeliveryFailed) as failed:
        make(upload="link").publish(shelf.publication())
    assert failed.value.retry_after == seconds
    assert not failed.value.permanent
    assert methods(slack).count("chat.postMessage") == 1


def test_a_refused_video_leaves_the_link(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    shelf.poster = None
    slack.fail_next("files.getUploadURLExternal", SlackFault(error="storage_limit_reached"))
    published = make().publish(shelf.publication())
    assert "linked only" in published.remark
    assert len(slack.messages) == 1


def test_a_slow_poster_is_left_out(shelf: Any, tools: ConnectorTools) -> None:
    with SlackStandIn(processing=3) as slack:
        connector(slack, tools).publish(shelf.publication())
        assert len(blocks(slack, "image")) == 1
        slack.fail_next("chat.postMessage", SlackFault(error="invalid_blocks"))
        published = connector(slack, tools).publish(shelf.publication(message="step-9", repeat=1))
        assert "without the poster" in published.remark
        assert blocks(slack, "image") == []


def test_a_poster_that_is_never_worked_up_is_given_up(tools: ConnectorTools, shelf: Any) -> None:
    with SlackStandIn(processing=99) as slack:
        api = SlackApi(SecretStr("xoxb-stand-in"), slack.api_url, 5, tools)
        files = SlackFiles(api, looks=(0.0, 0.0))
        file = files.send(shelf.poster, "poster.jpg")
        files.complete(file, "Poster")
        asked: list[None] = []
        assert not files.is_ready(file, lambda: asked.append(None))
        assert len(asked) == 3


def test_a_missing_scope_is_named(shelf: Any, tools: ConnectorTools) -> None:
    with SlackStandIn(scopes=("chat:write", "channels:read")) as slack:
        place = connector(slack, tools)
        with pytest.raises(
            DeliveryFailed, match=r"channels:history \(to find what is posted already\), files:write"
        ) as failed:
            place.check()
        assert failed.value.refused
        with pytest.raises(DeliveryFailed, match=r"needs channels:history; add the scope") as failed:
            place.publish(shelf.publication())
        assert failed.value.refused
        assert slack.messages == []


def test_checks_login_and_membership(make: Make, slack: SlackStandIn) -> None:
    assert make().check() == "as storyrelay in Stand-in, channel #videos (C0STANDIN01)"
    assert "#videos" in make(channel="C0STANDIN01").check()
    for channel, says in (
        ("#secret", "/invite"),
        ("#nowhere", "give the channel's id"),
        ("C0NOWHERE99", "not_found"),
        ("C0STANDIN03", "#old is archived"),
    ):
        with pytest.raises(DeliveryFailed, match=says):
            make(channel=channel).check()
    with pytest.raises(DeliveryFailed, match="invalid_auth") as failed:
        make(token="xoxb-t0ps3cret").check()
    assert "t0ps3cret" not in str(failed.value)


def test_private_channels_need_their_own_scopes(tools: ConnectorTools) -> None:
    with SlackStandIn(scopes=(*GIVEN[:3], "channels:read", "groups:history")) as slack:
        assert connector(slack, tools).check()


def test_notices_and_tests(make: Make, slack: SlackStandIn, notice: Notice) -> None:
    make().notify(notice)
    (told,) = slack.messages
    assert blocks(slack, "header")[0]["text"]["text"] == "Not delivered <!here>"
    assert told.text == "Not delivered &lt;!here&gt;"
    make().notify(replace(notice, id="notice-2", text="", title="x" * 500))
    assert "removed" in make().send_test().remark
    assert len(slack.messages) == 2


def test_a_notice_goes_into_its_storys_thread_and_is_shown(
    shelf: Any, slack: SlackStandIn, make: Make, notice: Notice
) -> None:
    make().publish(shelf.publication())
    slack.workspace.say("#videos", "chatter")
    told = make().notify(replace(notice, at=datetime.now(UTC)))
    assert "thread" in told.remark
    story = slack.messages[0]
    assert [(m.text, m.broadcast) for m in slack.replies(story)][1:] == [
        ("Not delivered &lt;!here&gt;", True)
    ]
    make().notify(replace(notice, id="notice-2", story_id="another story"))
    make().notify(replace(notice, id="notice-3", story_id=None))
    assert len(slack.messages) == 4


@pytest.mark.parametrize("about", ["story-1", None])
def test_a_notice_without_an_answer_is_not_told_twice(
    shelf: Any, slack: SlackStandIn, make: Make, notice: Notice, about: str | None
) -> None:
    make(upload="link").publish(shelf.publication())
    notice = replace(notice, at=datetime.now(UTC), story_id=about)
    slack.fail_next("chat.postMessage", SlackFault(drop=True, after_effect=True))
    with pytest.raises(DeliveryFailed):
        make().notify(notice)
    assert "already" in make().notify(notice).remark
    assert methods(slack).count("chat.postMessage") == 2


def test_a_notice_is_told_though_the_bot_may_not_read(tools: ConnectorTools, notice: Notice) -> None:
    with SlackStandIn(scopes=("chat:write",)) as slack:
        connector(slack, tools).notify(notice)
        assert len(slack.messages) == 1


def test_a_notice_leaves_a_thread_that_is_locked(
    shelf: Any, slack: SlackStandIn, make: Make, notice: Notice
) -> None:
    make(upload="link").publish(shelf.publication())
    slack.fail_next("chat.postMessage", SlackFault(error="restricted_action_thread_locked"))
    make().notify(notice)
    assert len(slack.messages) == 2


def test_withdraws_messages_files_and_what_it_said_below(
    shelf: Any, slack: SlackStandIn, make: Make, notice: Notice
) -> None:
    make().publish(shelf.publication())
    make().publish(shelf.publication(message="step-2", revision=2, title="A new letter"))
    make().publish(shelf.publication(message="step-2", revision=2, repeat=1))
    make().notify(notice)
    slack.workspace.say("#videos", "chatter")
    another = replace(shelf.publication(), key="another", reference={}, save=lambda _: None)
    other = make(upload="link").publish(another)
    assert len(slack.files) == 6
    removed = make().withdraw(shelf.withdrawal())
    assert removed.remark == "removed 2 messages and 6 files"
    assert slack.files == []
    assert [m.text for m in slack.workspace.messages] == ["chatter", "A letter"]
    assert other.url is not None
    assert shelf.saved == {}
    assert make().withdraw(shelf.withdrawal()).remark == "nothing of it was found in the channel"


def test_withdraws_by_the_key_alone(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    make().publish(shelf.publication())
    slack.workspace.replies({"channel": "#videos", "ts": slack.messages[0].ts})  # the video comes to be seen
    shelf.saved = {}
    make().withdraw(shelf.withdrawal())
    assert slack.workspace.messages == []
    assert slack.files == []


def test_withdrawal_leaves_what_people_replied(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    make().publish(shelf.publication())
    saved = dict(shelf.saved)
    slack.workspace.say("#videos", "nice", slack.messages[0].ts)
    removed = make().withdraw(shelf.withdrawal())
    assert "1 reply of others stayed" in removed.remark
    assert [m.text for m in slack.workspace.messages] == ["This message was deleted.", "nice"]
    shelf.saved = saved  # as if the worker had died before it could save
    make().withdraw(shelf.withdrawal())
    shelf.saved = saved | {"message_id": "an attempt before"}
    assert "posted a new one" in make().publish(shelf.publication()).remark


@pytest.mark.parametrize("method", ["files.delete", "chat.delete", "conversations.replies"])
def test_a_withdrawal_goes_on_after_a_lost_answer(
    shelf: Any, slack: SlackStandIn, make: Make, method: str
) -> None:
    make().publish(shelf.publication())
    slack.fail_next(method, SlackFault(drop=True, after_effect=True))
    with pytest.raises(DeliveryFailed) as failed:
        make().withdraw(shelf.withdrawal())
    assert (failed.value.permanent, failed.value.refused) == (False, False)
    make().withdraw(shelf.withdrawal())
    assert (slack.workspace.messages, slack.files) == ([], [])


def test_a_withdrawal_that_is_forbidden_says_so(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    make().publish(shelf.publication())
    slack.fail_next("files.delete", SlackFault(error="file_deleting_disabled"))
    with pytest.raises(DeliveryFailed, match="file_deleting_disabled") as failed:
        make().withdraw(shelf.withdrawal())
    assert failed.value.permanent
    assert len(slack.messages) == 1


def test_takes_its_turn_before_each_call_that_people_see(
    shelf: Any, slack: SlackStandIn, tools: ConnectorTools, notice: Notice
) -> None:
    before: list[str] = []
    paced = replace(tools, pace=lambda: before.append(methods(slack)[-1]))
    connector(slack, paced).publish(shelf.publication())
    assert before == ["upload"]  # the message has its token already; the video is shared next
    connector(slack, paced).notify(notice)
    assert len(before) == 1
    connector(slack, paced).withdraw(shelf.withdrawal())
    assert len(before) == 1 + methods(slack).count("files.delete") + methods(slack).count("chat.delete") - 1


def test_a_long_wait_for_its_turn_posts_nothing_and_needs_no_look(
    shelf: Any, slack: SlackStandIn, tools: ConnectorTools
) -> None:
    def wait() -> None:
        raise DeliveryFailed("the destination's rate", retry_after=30)

    with pytest.raises(DeliveryFailed) as failed:
        connector(slack, replace(tools, pace=wait)).publish(shelf.publication())
    assert failed.value.retry_after == 30
    assert "shared_at" in shelf.saved
    assert shelf.saved["shared_at"] is None
    connector(slack, tools).publish(shelf.publication())
    assert methods(slack).count("conversations.replies") == 0
    assert len(slack.replies(slack.messages[0])) == 1


def test_links_to_where_the_story_is_already(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    elsewhere = {
        "blog": "https://blog.test/a?b=1&c=2",
        "cms|>": "https://evil.test/|click> <!channel>",
        "team": "https://stand-in.slack.test/itself",
        "odd": "javascript:alert(1)",
        "long": "https://long.test/" + "x" * 2000,
    }
    make(upload="link").publish(replace(shelf.publication(), elsewhere=elsewhere))
    (text,) = blocks(slack, "context")[0]["elements"]
    assert text["text"] == (
        "Also at <https://blog.test/a?b=1&amp;c=2|blog>"
        " · <https://evil.test/%7Cclick%3E%20%3C!channel%3E|cms|&gt;>"
    )
    make(upload="link").publish(shelf.publication(repeat=1))
    assert blocks(slack, "context") == []


def test_previews_what_it_would_post(shelf: Any, slack: SlackStandIn, make: Make, hostile: str) -> None:
    for others in ({}, {"upload": "link"}):
        message, text = make(**others).preview(shelf.publication())
        shown = json.loads(message.text)
        assert (message.name, text.name) == ("message.json", "notification.txt")
        assert text.text == shown["text"] == "A letter"
        made = make(**others).publish(replace(shelf.publication(), reference={}, key=str(others)))
        assert made.url is not None
        posted = slack.messages[-1].blocks
        assert [b for b in shown["blocks"] if b["type"] != "image"] == [
            b for b in posted if b["type"] != "image"
        ]
        assert len(shown["blocks"]) == len(posted)
    assert json.loads(make().preview(shelf.publication(title=hostile))[0].text)["text"].startswith('"Quotes"')


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("invalid_auth", "Bot User OAuth Token"),
        ("token_expired", "rotat"),
        ("token_revoked", "install the app"),
        ("account_inactive", "install the app"),
        ("team_access_not_granted", "administrator"),
        ("org_login_required", "wait"),
    ],
)
def test_a_login_that_ended_pauses_the_place_and_says_what_to_do(
    shelf: Any, slack: SlackStandIn, make: Make, notice: Notice, code: str, says: str
) -> None:
    make(upload="link").publish(shelf.publication())
    slack.login = code
    for act in (
        make().check,
        make().send_test,
        lambda: make().publish(shelf.publication(message="other", repeat=1)),
        lambda: make().notify(notice),
        lambda: make().withdraw(shelf.withdrawal()),
    ):
        with pytest.raises(DeliveryFailed, match=says) as failed:
            act()
        assert (failed.value.permanent, failed.value.refused) == (False, True)
        assert code in str(failed.value)
    assert len(slack.messages) == 1


@pytest.mark.parametrize(
    ("channel", "says"),
    [
        ("#secret", "not_in_channel.*/invite"),
        ("C0STANDIN03", "is_archived.*unarchive"),
        ("C0NOWHERE99", "channel_not_found.*private channel"),
        ("#nowhere", "no public channel"),
        ("#old", "no public channel"),
    ],
)
def test_a_channel_that_won_t_do_pauses_the_place_and_says_what_to_do(
    shelf: Any, slack: SlackStandIn, make: Make, channel: str, says: str
) -> None:
    with pytest.raises(DeliveryFailed, match=says) as failed:
        make(channel=channel).publish(shelf.publication())
    assert (failed.value.permanent, failed.value.refused) == (False, True)
    with pytest.raises(DeliveryFailed) as failed:
        make(channel=channel).check()
    assert failed.value.refused


def test_a_page_that_is_no_answer_may_hide_a_message(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    """A proxy's page with status 200: slack-sdk makes an error of it, but the message may stand there."""
    slack.fail_next("chat.postMessage", SlackFault(status=200, after_effect=True))
    with pytest.raises(DeliveryFailed, match="failed in") as failed:
        make(upload="link").publish(shelf.publication())
    assert (failed.value.permanent, failed.value.refused) == (False, False)
    make(upload="link").publish(shelf.publication())
    assert len(slack.messages) == 1


def test_the_sdk_logs_neither_addresses_of_uploads_nor_pages(
    shelf: Any, slack: SlackStandIn, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    slack.fail_next("chat.postMessage", SlackFault(status=200))
    with pytest.raises(DeliveryFailed):
        make().publish(shelf.publication())
    make().publish(shelf.publication())
    assert "sig=secret" not in caplog.text
    assert "It broke" not in caplog.text


def test_files_that_slack_takes_none_of_are_left_out(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    slack.fail_next("files.getUploadURLExternal", SlackFault(error="file_uploads_disabled"), times=2)
    published = make().publish(shelf.publication())
    assert (
        "without the poster: Slack refused files.getUploadURLExternal: file_uploads_disabled"
        in published.remark
    )
    assert "linked only" in published.remark
    assert len(slack.messages) == 1


def test_a_video_that_is_too_large_for_the_workspace_is_linked(
    shelf: Any, slack: SlackStandIn, make: Make
) -> None:
    slack.workspace.uploads.largest = 1000
    published = make().publish(shelf.publication())
    assert "file_upload_size_restricted" in published.remark
    assert len(blocks(slack, "image")) == 1
    slack.workspace.uploads.largest = 10**9
    slack.fail_next("upload", SlackFault(status=413))
    shelf.poster = None
    assert "413" in make().publish(shelf.publication(repeat=1)).remark


def test_an_upload_that_is_told_to_wait_waits(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    slack.fail_next("upload", SlackFault(status=429, retry_after="11"))
    with pytest.raises(DeliveryFailed) as failed:
        make().publish(shelf.publication())
    assert failed.value.retry_after == 11


def test_slack_s_own_limits_are_kept(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    slack.limits = {"chat.postMessage": 1}
    make(upload="link").publish(shelf.publication())
    with pytest.raises(DeliveryFailed, match="pause") as failed:
        make(upload="link").publish(shelf.publication(message="other", repeat=1))
    assert failed.value.retry_after is not None
    assert 1 <= failed.value.retry_after <= 60
    assert len(slack.messages) == 1


def test_nobody_listens(shelf: Any, make: Make, nobody_listens: int) -> None:
    place = make(api_url=f"http://127.0.0.1:{nobody_listens}/api/")
    for act in (lambda: place.publish(shelf.publication()), place.check, place.send_test):
        with pytest.raises(DeliveryFailed, match="did not answer") as failed:
            act()
        assert not failed.value.permanent


def test_a_large_video_takes_flat_memory(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    with shelf.video.open("r+b") as file:
        file.truncate(64 * 2**20)
    tracemalloc.start()
    make().publish(shelf.publication())
    assert slack.files[-1].bytes == 64 * 2**20
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 * 2**20


def test_a_template_of_ones_own(shelf: Any, slack: SlackStandIn, make: Make, tools: ConnectorTools) -> None:
    template = tools.base / "slack.jinja"
    template.write_text(
        "*{{ story.title }}* <{{ links.video }}|Play> {{ story.idea }}" + "{{ story.idea }}" * 9
    )
    make(template="slack.jinja", upload="link").publish(shelf.publication(title="<!here>", idea="<&>" * 200))
    text = blocks(slack, "section")[-1]["text"]["text"]
    assert text.startswith("*&lt;!here&gt;* <https://relay.test/media/v?a=1&amp;b=2|Play> &lt;&amp;&gt;")
    assert len(text) <= 3000
    assert text[-5:-1] in ("&lt;", "amp;", "&gt;")
    template.write_text("{{ stroy.title }}")
    with pytest.raises(BrokenTemplate, match=r"slack\.jinja") as failed:
        make(template="slack.jinja")
    assert failed.value.refused


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "either token"),
        ({"token": "xoxb-t0ps3cret"}, "belong together"),
        ({"token": "xoxb-t0ps3cret", "channel": "#a b"}, "pattern"),
        ({"token": "xoxb-t0ps3cret", "channel": "#a", "webhook_url": "https://h.test/"}, "either token"),
        ({"webhook_url": "https://h.test/", "channel": "#a"}, "belong together"),
        ({"webhook_url": "t0ps3cret"}, "http"),
        ({"webhook_url": "https://h.test/", "upload": "video"}, "can only link"),
        ({"token": "xoxb-t0ps3cret", "channel": "#a", "upload": "gif"}, "poster"),
    ],
)
def test_options_are_checked_and_never_quoted(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as refused:
        SlackOptions.model_validate(wrong)
    assert "t0ps3cret" not in str(refused.value)


class TestIncomingWebhook:
    @pytest.fixture
    def place(self, slack: SlackStandIn, tools: ConnectorTools) -> SlackConnector:
        return SlackConnector(
            SlackOptions.model_validate({"webhook_url": slack.webhook_url, "timeout": 1}), tools
        )

    def test_posts_with_links(
        self, shelf: Any, slack: SlackStandIn, place: SlackConnector, hostile: str
    ) -> None:
        place.publish(shelf.publication(title=hostile))
        assert "Watch the video" in blocks(slack, "section")[-1]["text"]["text"]
        assert blocks(slack, "image")[0]["image_url"] == "https://relay.test/media/p"
        assert slack.files == []

    def test_leaves_out_a_poster_that_slack_refuses(
        self, shelf: Any, slack: SlackStandIn, place: SlackConnector
    ) -> None:
        slack.fail_next("webhook", SlackFault(status=400, error="invalid_blocks"))
        assert "without the poster" in place.publish(shelf.publication()).remark
        assert blocks(slack, "image") == []

    @pytest.mark.parametrize("fault", LOST)
    def test_is_at_least_once(
        self, shelf: Any, slack: SlackStandIn, place: SlackConnector, fault: SlackFault
    ) -> None:
        slack.fail_next("webhook", fault)
        with pytest.raises(DeliveryFailed) as failed:
            place.publish(shelf.publication())
        assert not failed.value.permanent
        place.publish(shelf.publication())
        assert len(slack.messages) == 2

    def test_says_when_it_is_gone(self, shelf: Any, slack: SlackStandIn, tools: ConnectorTools) -> None:
        url = slack.webhook_url.replace("right", "t0ps3cret")
        place = SlackConnector(SlackOptions.model_validate({"webhook_url": url}), tools)
        for act in (lambda: place.publish(shelf.publication()), place.check):
            with pytest.raises(DeliveryFailed, match="no_service") as failed:
                act()
            assert failed.value.refused
            assert "t0ps3cret" not in str(failed.value)

    def test_honours_retry_after(self, shelf: Any, slack: SlackStandIn, place: SlackConnector) -> None:
        slack.fail_next("webhook", SlackFault(status=429, retry_after="3"))
        with pytest.raises(DeliveryFailed) as failed:
            place.publish(shelf.publication())
        assert failed.value.retry_after == 3.0

    def test_checks_and_tests(self, slack: SlackStandIn, place: SlackConnector, notice: Notice) -> None:
        assert "exists" in place.check()
        assert slack.messages == []
        place.notify(notice)
        place.send_test()
        assert len(slack.messages) == 2

    def test_can_take_nothing_back(self, shelf: Any, slack: SlackStandIn, place: SlackConnector) -> None:
        place.publish(shelf.publication())
        with pytest.raises(DeliveryFailed, match="by hand") as failed:
            place.withdraw(shelf.withdrawal())
        assert failed.value.permanent
        assert len(slack.messages) == 1


def test_the_app_s_manifest_asks_for_the_scopes_that_are_needed() -> None:
    manifest = json.loads((Path(__file__).parents[3] / "deploy" / "slack_app.json").read_text())
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == {*SCOPES, *UPLOAD_SCOPES}
    assert manifest["settings"]["token_rotation_enabled"] is False


def test_a_revision_goes_to_the_channel_that_is_asked_for_now(
    shelf: Any, slack: SlackStandIn, make: Make
) -> None:
    make().publish(shelf.publication())
    second = make(channel="#general").publish(shelf.publication(revision=2, message="step-2"))
    assert [slack.workspace.channels.name(message.channel) for message in slack.messages] == [
        "videos",
        "general",
    ]
    assert "stays where it is" in second.remark
    make(channel="#general").publish(shelf.publication(revision=2, message="step-2"))
    assert len(slack.messages) == 2


def test_another_workspace_is_written_to_and_not_refused(shelf: Any, slack: SlackStandIn, make: Make) -> None:
    make().publish(shelf.publication())
    shelf.saved["channel"] = "C0ELSEWHERE"
    make().publish(shelf.publication(revision=2, message="step-2"))
    assert shelf.saved["channel"] == slack.messages[0].channel
    shelf.saved["channel"] = "C0ELSEWHERE"
    with pytest.raises(DeliveryFailed, match="by hand") as failed:
        make().withdraw(shelf.withdrawal())
    assert (failed.value.permanent, failed.value.refused) == (True, False)
