"""Mails through Postfix into Dovecot's mailboxes."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mail_servers import PASSWORD, MailServers, not_here, running_mail_servers

from handlers.connectors.email import EmailConnector, EmailOptions
from service.connector_contract import HOSTILE, Story, film, new_story
from service.connectors import ConnectorTools
from service.domain.delivery import DeliveryFailed
from service.outbound_http import HttpClient
from service.wiring import utc_now

ANN, BOB, GONE = "ann@example.test", "bob@example.test", "gone@example.test"


@pytest.fixture(scope="module")
def servers() -> Iterator[MailServers]:
    missing = not_here()
    if missing is not None:
        (pytest.fail if "CI" in os.environ else pytest.skip)(missing)
    with running_mail_servers() as running:
        yield running


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return new_story(tmp_path)


def connector(servers: MailServers, folder: Path, **others: Any) -> EmailConnector:
    options = {
        "host": "localhost",
        "port": servers.port,
        "username": "relay@example.test",
        "password": PASSWORD,
        "ca_file": servers.certificate,
        "from": "Relay <relay@example.test>",
        "to": [ANN, BOB],
        **others,
    }
    return EmailConnector(
        EmailOptions.model_validate(options), ConnectorTools("place", HttpClient(), folder, utc_now)
    )


def message_id(about: str) -> str:
    return f"<{hashlib.sha256(about.encode()).hexdigest()[:40]}@example.test>"


def test_a_story_arrives_whole(servers: MailServers, story: Story, tmp_path: Path) -> None:
    hostile = replace(story, title=HOSTILE)
    publication = hostile.publication(elsewhere={"blog": "https://blog.test/a?b=1&c=2"})
    assert "sent to 2" in connector(servers, tmp_path).publish(publication).remark
    for user in ("ann", "bob"):
        (mail,) = servers.found(user, message_id(publication.message_id))
        assert "<script>alert(1)</script>" in mail["Subject"]
        assert mail["Return-Path"] == "<relay@example.test>"
        assert mail["List-Id"] == "<place.storyrelay.example.test>"
        assert mail["Bcc"] is None
        (video,) = mail.iter_attachments()
        assert video.get_content() == story.video.read_bytes()
        html = mail.get_body(("html",))
        assert html is not None
        assert 'href="https://blog.test/a?b=1&amp;c=2"' in html.get_content()


def test_revisions_stand_in_one_thread(servers: MailServers, story: Story, tmp_path: Path) -> None:
    for revision in (1, 2):
        connector(servers, tmp_path).publish(replace(story, revision=revision).publication())
        assert len(servers.found("ann", message_id(f"{story.key}-{revision}"))) == 1
    assert len(servers.thread("ann", message_id(story.key))) == 2


def test_the_greylisted_gets_it_later_and_the_other_once(
    servers: MailServers, story: Story, tmp_path: Path
) -> None:
    servers.policy.greylisted.add(BOB)
    with pytest.raises(DeliveryFailed, match=r"bob@example\.test \(450 .*1 of 2 have it") as failed:
        connector(servers, tmp_path).publish(story.publication())
    assert not failed.value.permanent
    assert failed.value.retry_after is None  # ann's next mail need not wait for bob's
    connector(servers, tmp_path).publish(story.publication())
    for user in ("ann", "bob"):
        assert len(servers.found(user, message_id(story.publication().message_id))) == 1


def test_a_greylisting_server_says_when(servers: MailServers, story: Story, tmp_path: Path) -> None:
    servers.policy.greylisted |= {ANN, BOB}
    with pytest.raises(DeliveryFailed, match="Greylisted") as failed:
        connector(servers, tmp_path).publish(story.publication())
    assert (failed.value.permanent, failed.value.retry_after) == (False, 120)
    connector(servers, tmp_path).publish(story.publication())
    assert len(servers.found("bob", message_id(story.publication().message_id))) == 1


def test_an_unknown_recipient_is_told_and_the_others_get_it(
    servers: MailServers, story: Story, tmp_path: Path
) -> None:
    remark = connector(servers, tmp_path, to=[ANN, "nobody@example.test"]).publish(story.publication()).remark
    assert "nobody@example.test (550 5.1.1" in remark
    assert len(servers.found("ann", message_id(story.publication().message_id))) == 1
    with pytest.raises(DeliveryFailed, match="every recipient") as failed:
        connector(servers, tmp_path, to=["nobody@example.test"]).publish(new_story(tmp_path).publication())
    assert failed.value.permanent


def test_what_bounces_later_comes_to_bounces_to(servers: MailServers, story: Story, tmp_path: Path) -> None:
    place = connector(servers, tmp_path, to=[GONE], bounces_to="bounces@example.test")
    remark = place.publish(story.publication()).remark
    assert "sent to 1" in remark
    assert "what bounces later goes to bounces@example.test" in remark
    bounce = servers.bounce_of("bounces", story.publication().message_id)
    assert bounce.get_content_type() == "multipart/report"
    (report,) = [part for part in bounce.walk() if part.get_content_type() == "message/delivery-status"]
    fields = {name: value for block in report.get_payload() for name, value in block.items()}
    assert fields["Original-Envelope-Id"] == story.publication().message_id
    assert "gone@example.test" in fields["Final-Recipient"]
    assert fields["Action"] == "failed"
    # RET=HDRS: our own mail does not come back whole
    assert not any(part.get_content_type() == "video/mp4" for part in bounce.walk())


def test_a_video_beyond_the_servers_limit_is_linked(
    servers: MailServers, story: Story, tmp_path: Path
) -> None:
    film(story.video, "Large")
    with story.video.open("ab") as file:
        file.write((900_000).to_bytes(4, "big") + b"free" + b"\0" * 899_992)
    remark = connector(servers, tmp_path).publish(story.publication()).remark
    assert "the video is linked: the server takes no mail of more than 1000000 bytes" in remark
    (mail,) = servers.found("ann", message_id(story.publication().message_id))
    assert list(mail.iter_attachments()) == []


def test_a_wrong_login_and_a_foreign_sender_pause_the_destination(
    servers: MailServers, story: Story, tmp_path: Path
) -> None:
    with pytest.raises(DeliveryFailed, match="535") as failed:
        connector(servers, tmp_path, password="wr0ng").check()
    assert failed.value.refused
    assert "wr0ng" not in str(failed.value)
    # Postfix waits with that until it hears the recipients (smtpd_delay_reject), and says it of each
    for _ in range(2):
        with pytest.raises(DeliveryFailed, match=r"Sender address rejected.*see the options from") as failed:
            connector(servers, tmp_path, **{"from": "boss@example.test"}).publish(story.publication())
        assert (failed.value.permanent, failed.value.refused) == (False, True)
    connector(servers, tmp_path).publish(story.publication())
    assert len(servers.found("ann", message_id(story.publication().message_id))) == 1


def test_a_check_leaves_nothing(servers: MailServers, tmp_path: Path) -> None:
    assert "relay@example.test at localhost" in connector(servers, tmp_path).check()
