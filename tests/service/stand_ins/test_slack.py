import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

from service.stand_ins.slack import SlackFault, SlackStandIn

METADATA = {"event_type": "made", "event_payload": {"key": "k1"}}


def client_of(slack: SlackStandIn, token: str | None = None, timeout: int = 10) -> WebClient:
    return WebClient(
        "xoxb-stand-in" if token is None else token,
        base_url=slack.api_url,
        retry_handlers=[],
        timeout=timeout,
    )


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[SlackStandIn]:
    with SlackStandIn(
        channels=("general", "videos", "!secret", "-old"), folder=tmp_path / "files"
    ) as stand_in:
        yield stand_in


@pytest.fixture
def client(slack: SlackStandIn) -> WebClient:
    return client_of(slack)


def code_of(error: pytest.ExceptionInfo[SlackApiError]) -> str:
    code: str = error.value.response["error"]
    return code


def section(text: str, kind: str = "mrkdwn") -> dict[str, object]:
    return {"type": "section", "text": {"type": kind, "text": text}}


def test_says_who_it_is_and_what_it_may(client: WebClient) -> None:
    answer = client.auth_test()
    assert answer["user"] == "storyrelay"
    assert "chat:write" in answer.headers["X-OAuth-Scopes"]


@pytest.mark.parametrize(("token", "code"), [("xoxb-wrong", "invalid_auth"), ("", "not_authed")])
def test_a_wrong_token_is_refused(slack: SlackStandIn, token: str, code: str) -> None:
    with pytest.raises(SlackApiError) as error:
        client_of(slack, token).auth_test()
    assert code_of(error) == code


def test_a_missing_scope_is_named() -> None:
    with SlackStandIn(scopes=("files:write",)) as slack, pytest.raises(SlackApiError) as error:
        client_of(slack).chat_postMessage(channel="#videos", text="hello")
    answer = error.value.response
    assert (answer["error"], answer["needed"], answer["provided"]) == (
        "missing_scope",
        "chat:write",
        "files:write",
    )


def test_posts_updates_and_deletes(slack: SlackStandIn, client: WebClient) -> None:
    posted = client.chat_postMessage(
        channel="#videos", text="one", blocks=[section("one")], metadata=METADATA
    )
    client.chat_update(channel=posted["channel"], ts=posted["ts"], text="two", blocks=[section("two")])
    assert [(m.text, m.edited, m.metadata) for m in slack.messages] == [("two", True, METADATA)]
    with pytest.raises(SlackApiError) as error:
        client.chat_update(channel=posted["channel"], ts=posted["ts"], text="x" * 4001)
    assert code_of(error) == "msg_too_long"
    link = client.chat_getPermalink(channel=posted["channel"], message_ts=posted["ts"])["permalink"]
    assert posted["channel"] in link
    client.chat_delete(channel=posted["channel"], ts=posted["ts"])
    assert slack.messages == []


@pytest.mark.parametrize(
    ("channel", "code"),
    [
        ("#nowhere", "channel_not_found"),
        ("#secret", "not_in_channel"),
        ("#old", "is_archived"),
        ("", "invalid_arguments"),
    ],
)
def test_other_channels_are_refused(client: WebClient, channel: str, code: str) -> None:
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel=channel, text="hello")
    assert code_of(error) == code


def test_unknown_messages_and_methods_are_refused(client: WebClient) -> None:
    for act in (
        lambda: client.chat_update(channel="#videos", ts="1.000001", text="x"),
        lambda: client.chat_delete(channel="#videos", ts="1.000001"),
        lambda: client.chat_getPermalink(channel="#videos", message_ts="1.000001"),
    ):
        with pytest.raises(SlackApiError) as error:
            act()
        assert code_of(error) == "message_not_found"
    with pytest.raises(SlackApiError) as error:
        client.api_call("chat.shout")
    assert code_of(error) == "unknown_method"


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}, "less than 151"),
        ({"type": "header", "text": {"type": "mrkdwn", "text": "x"}}, "plain_text"),
        (section("x" * 3001), "less than 3001"),
        (section(""), "more than 0"),
        ({"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}, "1 to 10"),
        ({"type": "context", "elements": []}, "1 to 10"),
        ({"type": "image", "alt_text": "x"}, "either image_url or slack_file"),
        ({"type": "image", "alt_text": "x", "slack_file": {"id": "F0"}}, "invalid slack file"),
        ({"type": "image", "alt_text": "x", "image_url": "http://127.0.0.1/x"}, "downloading image failed"),
        ({"type": "image", "alt_text": "", "image_url": "https://media.test/x"}, "/alt_text"),
        ({"type": "marquee"}, "unsupported type"),
        ({"type": "divider", "block_id": "x" * 256}, "/block_id"),
    ],
)
def test_blocks_over_the_limits_are_refused(
    client: WebClient, block: dict[str, object], problem: str
) -> None:
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel="#videos", text="x", blocks=[block])
    assert code_of(error) == "invalid_blocks"
    assert problem in error.value.response["errors"][0]


def test_messages_over_the_limits_are_refused(client: WebClient) -> None:
    for arguments, code in (
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "x", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ({"text": "x", "metadata": {"event_type": "x"}}, "invalid_metadata_format"),
        (
            {"text": "x", "metadata": {"event_type": "x", "event_payload": {"k": "x" * 8000}}},
            "metadata_too_large",
        ),
        ({"text": ""}, "no_text"),
    ):
        with pytest.raises(SlackApiError) as error:
            client.chat_postMessage(channel="#videos", **arguments)
        assert code_of(error) == code


def test_history_pages_from_the_newest_and_shows_metadata_when_asked(client: WebClient) -> None:
    first, *_ = [client.chat_postMessage(channel="#videos", text=str(n), metadata=METADATA) for n in range(5)]
    client.chat_postMessage(channel="#videos", text="a reply", thread_ts=first["ts"])
    client.chat_postMessage(channel="#general", text="elsewhere")
    pages = [page["messages"] for page in client.conversations_history(channel=first["channel"], limit=2)]
    assert [[m["text"] for m in page] for page in pages] == [["4", "3"], ["2", "1"], ["0"]]
    assert "metadata" not in pages[0][0]
    later = client.conversations_history(
        channel=first["channel"], oldest=first["ts"], include_all_metadata=True
    )
    assert [m["text"] for m in later["messages"]] == ["4", "3", "2", "1"]
    assert later["messages"][0]["metadata"] == METADATA


def test_channels_are_listed_with_membership(client: WebClient) -> None:
    pages = [page["channels"] for page in client.conversations_list(limit=2, exclude_archived=True)]
    assert [[(c["name"], c["is_member"]) for c in page] for page in pages] == [
        [("general", True), ("videos", True)],
        [("secret", False)],
    ]
    assert client.conversations_info(channel=pages[1][0]["id"])["channel"]["name"] == "secret"
    everything = [one for page in client.conversations_list(limit=3) for one in page["channels"]]
    assert [one["name"] for one in everything if one["is_archived"]] == ["old"]
    with pytest.raises(SlackApiError) as error:
        client.conversations_info(channel="C0NOWHERE")
    assert code_of(error) == "channel_not_found"


def test_the_sdk_uploads_into_a_thread(slack: SlackStandIn, client: WebClient, tmp_path: Path) -> None:
    posted = client.chat_postMessage(channel="#videos", text="a story")
    client.files_upload_v2(
        content=b"x" * 5000,
        filename="video.mp4",
        channel=posted["channel"],
        thread_ts=posted["ts"],
        initial_comment="look",
    )
    (file,) = slack.files
    assert (file.bytes, file.name) == (5000, "video.mp4")
    assert [(m.text, m.files) for m in slack.replies(slack.messages[0])] == [("look", [file.id])]
    assert len(slack.messages) == 1
    assert (tmp_path / "files" / f"{file.id}-video.mp4").read_bytes() == b"x" * 5000


def test_a_file_gets_its_type_and_shares_only_after_a_while(slack: SlackStandIn, client: WebClient) -> None:
    answer = client.files_upload_v2(content=b"\xff\xd8", filename="poster.jpg")
    file = answer["file"]["id"]
    image = {"type": "image", "alt_text": "poster", "slack_file": {"id": file}}
    assert client.files_info(file=file)["file"]["mimetype"] == ""
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel="#videos", text="x", blocks=[image])
    assert "invalid slack file" in error.value.response["errors"][0]
    assert client.files_info(file=file)["file"]["mimetype"] == "image/jpeg"
    client.chat_postMessage(channel="#videos", text="x", blocks=[image])
    assert len(slack.messages) == 1


def test_uploads_must_keep_to_what_was_announced(slack: SlackStandIn, client: WebClient) -> None:
    announced = client.files_getUploadURLExternal(filename="video.mp4", length=10)
    for body, headers in ((b"x" * 9, {}), (b"x" * 10, {"Authorization": "Bearer xoxb-stand-in"})):
        with pytest.raises(URLError, match="400"):
            urlopen(Request(announced["upload_url"], data=body, headers=headers))
    with pytest.raises(SlackApiError) as error:
        client.files_completeUploadExternal(files=[{"id": announced["file_id"]}])
    assert code_of(error) == "file_not_found"
    with pytest.raises(SlackApiError) as error:
        client.files_info(file=announced["file_id"])
    assert code_of(error) == "file_not_found"
    with pytest.raises(SlackApiError) as error:
        client.files_getUploadURLExternal(filename="video.mp4", length=0)
    assert code_of(error) == "missing_argument"
    slack.workspace.uploads.largest = 100
    with pytest.raises(SlackApiError) as error:
        client.files_getUploadURLExternal(filename="video.mp4", length=101)
    assert code_of(error) == "file_upload_size_restricted"
    assert slack.files == []


def test_threads_are_read_with_their_files(slack: SlackStandIn, client: WebClient) -> None:
    root = client.chat_postMessage(channel="#videos", text="a story", metadata=METADATA)
    where = {"channel": root["channel"], "ts": root["ts"]}
    client.chat_postMessage(
        channel="#videos", text="shown", thread_ts=root["ts"], reply_broadcast=True, metadata=METADATA
    )
    slack.workspace.say("#videos", "nice", root["ts"])
    client.files_upload_v2(content=b"x", filename="video.mp4", channel=root["channel"], thread_ts=root["ts"])
    first, later = (
        client.conversations_replies(**where, include_all_metadata=True)["messages"] for _ in "12"
    )
    assert [m["text"] for m in first] == ["a story", "shown", "nice"]  # the file is worked up later
    assert [[f["name"] for f in m.get("files", [])] for m in later] == [[], [], [], ["video.mp4"]]
    assert later[0]["reply_count"] == 3
    assert later[1]["metadata"] == METADATA
    assert [later[0]["user"] == m["user"] for m in later] == [True, True, False, True]
    pages = [page["messages"] for page in client.conversations_replies(**where, limit=3)]
    assert [len(page) for page in pages] == [3, 1]
    history = client.conversations_history(channel=root["channel"])["messages"]
    assert [(m["text"], m.get("subtype")) for m in history] == [
        ("shown", "thread_broadcast"),
        ("a story", None),
    ]
    with pytest.raises(SlackApiError) as error:
        client.conversations_replies(channel=root["channel"], ts="1.000001")
    assert code_of(error) == "thread_not_found"


def test_a_deleted_message_with_replies_leaves_a_tombstone(slack: SlackStandIn, client: WebClient) -> None:
    root = client.chat_postMessage(channel="#videos", text="a story", metadata=METADATA)
    reply = client.chat_postMessage(channel="#videos", text="more", thread_ts=root["ts"])
    client.chat_delete(channel=root["channel"], ts=root["ts"])
    (left,) = client.conversations_history(channel=root["channel"], include_all_metadata=True)["messages"]
    assert (left["subtype"], left["user"], left["text"]) == (
        "tombstone",
        "USLACKBOT",
        "This message was deleted.",
    )
    assert "metadata" not in left
    client.chat_postMessage(channel="#videos", text="too late", thread_ts=root["ts"])
    assert [m.text for m in slack.messages][1:] == ["too late"]
    client.chat_delete(channel=root["channel"], ts=reply["ts"])
    assert [m.text for m in slack.messages] == ["too late"]


def test_files_are_deleted_with_the_messages_that_only_showed_them(
    slack: SlackStandIn, client: WebClient
) -> None:
    channel = client.chat_postMessage(channel="#videos", text="a story")["channel"]
    for comment in (None, "look"):
        client.files_upload_v2(content=b"x", filename="a.mp4", channel=channel, initial_comment=comment)
    assert len(slack.messages) == 3
    for file in slack.files:
        assert client.files_delete(file=file.id)["ok"]
        for again in (client.files_delete, client.files_info):
            with pytest.raises(SlackApiError) as error:
                again(file=file.id)
            assert code_of(error) == "file_deleted"
    assert [m.text for m in slack.messages] == ["a story", "look"]
    with pytest.raises(SlackApiError) as error:
        client.files_delete(file="F0NOWHERE")
    assert code_of(error) == "file_not_found"


def test_messages_of_others_can_not_be_changed(slack: SlackStandIn, client: WebClient) -> None:
    said = slack.workspace.say("#videos", "mine")
    for act, code in (
        (lambda: client.chat_update(channel=said.channel, ts=said.ts, text="x"), "cant_update_message"),
        (lambda: client.chat_delete(channel=said.channel, ts=said.ts), "cant_delete_message"),
    ):
        with pytest.raises(SlackApiError) as error:
            act()
        assert code_of(error) == code


@pytest.mark.parametrize("code", ["token_expired", "token_revoked", "account_inactive", "org_login_required"])
def test_a_token_that_was_good_is_refused_by_name(slack: SlackStandIn, client: WebClient, code: str) -> None:
    slack.login = code
    for act in (client.auth_test, lambda: client.chat_postMessage(channel="#videos", text="x")):
        with pytest.raises(SlackApiError) as error:
            act()
        assert code_of(error) == code


def test_more_calls_than_a_minute_has_are_told_to_wait(slack: SlackStandIn, client: WebClient) -> None:
    slack.limits = {"chat.postMessage": 2}
    for text in "12":
        client.chat_postMessage(channel="#videos", text=text)
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel="#videos", text="3")
    answer = error.value.response
    assert (answer.status_code, answer["error"]) == (429, "ratelimited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert client.auth_test()["ok"]
    assert [m.text for m in slack.messages] == ["1", "2"]


def test_incoming_webhooks(slack: SlackStandIn) -> None:
    assert WebhookClient(slack.webhook_url).send(text="hello").body == "ok"
    assert [m.text for m in slack.messages] == ["hello"]
    for url, message, status, body in (
        (slack.webhook_url, {}, 400, "no_text"),
        (slack.webhook_url, {"blocks": [section("x" * 3001)]}, 400, "invalid_blocks"),
        (slack.webhook_url.replace("right", "wrong"), {"text": "x"}, 404, "no_service"),
    ):
        answer = WebhookClient(url).send_dict(message)
        assert (answer.status_code, answer.body) == (status, body)


def test_faults_with_and_without_an_effect(slack: SlackStandIn, client: WebClient) -> None:
    slack.fail_next("chat.postMessage", SlackFault(status=429, error="ratelimited", retry_after="1.5"))
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel="#videos", text="limited")
    assert error.value.response.headers["Retry-After"] == "1.5"
    slack.fail_next("chat.postMessage", SlackFault(status=500))
    with pytest.raises(SlackApiError):
        client.chat_postMessage(channel="#videos", text="broken")
    assert slack.messages == []
    slack.fail_next("chat.postMessage", SlackFault(drop=True, after_effect=True))
    with pytest.raises((URLError, http.client.HTTPException, ConnectionError)):
        client.chat_postMessage(channel="#videos", text="dropped")
    slack.fail_next("chat.postMessage", SlackFault(hold=True, after_effect=True))
    with pytest.raises((URLError, TimeoutError)):
        client_of(slack, timeout=1).chat_postMessage(channel="#videos", text="held")
    assert [m.text for m in slack.messages] == ["dropped", "held"]
    assert [method for method, _ in slack.calls] == ["chat.postMessage"] * 4
    assert "xoxb" not in json.dumps(slack.calls)
