import dataclasses
import email.utils
import ssl
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.connectors.email import EmailConnector, EmailOptions
from handlers.message_text import BrokenTemplate
from service.connectors import ConnectorTools, connector_class
from service.domain.delivery import DeliveryFailed, Notice
from service.stand_ins.mailbox import Mailbox

ANN, BOB, EVE = "ann@example.test", "bob@example.test", "eve@example.test"
Make = Callable[..., EmailConnector]


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


def options(box: Mailbox, **others: Any) -> EmailOptions:
    given = {"host": box.host, "port": box.port, "security": "none", "from": "Relay <relay@example.test>"}
    return EmailOptions.model_validate({**given, "to": [f"Ann <{ANN}>", BOB], "timeout": 5, **others})


@pytest.fixture
def make(box: Mailbox, tools: ConnectorTools) -> Make:
    return lambda **others: EmailConnector(options(box, **others), tools)


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    content: str = found.get_content()
    return content


def attachments(message: EmailMessage) -> list[tuple[str, str | None, int]]:
    return [
        (a.get_content_type(), a.get_filename(), len(a.get_content())) for a in message.iter_attachments()
    ]


def test_is_found_by_its_name() -> None:
    assert connector_class("email") is EmailConnector


def test_sends_text_html_poster_and_video(shelf: Any, make: Make, box: Mailbox) -> None:
    remark = (
        make(cc=["Cee <cee@example.test>"], bcc=[EVE], reply_to="desk@example.test")
        .publish(shelf.publication())
        .remark
    )
    (mail,) = box.messages
    message = mail.message
    assert mail.recipients == (ANN, BOB, "cee@example.test", EVE)
    assert "sent to 4" in remark
    assert (message["From"], message["Cc"]) == ("Relay <relay@example.test>", "Cee <cee@example.test>")
    assert (message["Reply-To"], message["Subject"]) == ("desk@example.test", "A letter")
    assert message["Auto-Submitted"] == "auto-generated"
    assert EVE not in message.as_string()
    assert email.utils.parsedate_to_datetime(message["Date"]).year == 2026
    assert "https://relay.test/media/v?a=1&b=2" in part(message, "plain")
    html = part(message, "html")
    assert 'href="https://relay.test/media/v?a=1&amp;b=2"' in html
    (video,) = attachments(message)
    assert video == ("video/mp4", "A-letter.mp4", shelf.video.stat().st_size)
    (poster,) = [one for one in message.walk() if one.get_content_type() == "image/jpeg"]
    assert f"cid:{poster['Content-ID'].strip('<>')}" in html
    assert poster.get_content() == shelf.poster.read_bytes()


def test_a_large_video_is_linked_only(shelf: Any, make: Make, box: Mailbox) -> None:
    make(attach_limit=shelf.video.stat().st_size - 1).publish(shelf.publication())
    assert attachments(box.messages[0].message) == []
    assert "attached" not in part(box.messages[0].message, "plain")


def test_the_servers_own_limit_is_kept(shelf: Any, tools: ConnectorTools) -> None:
    with shelf.video.open("r+b") as file:
        file.truncate(2_000_000)
    with Mailbox(size_limit=1_000_000) as box:
        EmailConnector(options(box), tools).publish(shelf.publication())
        assert attachments(box.messages[0].message) == []


def test_a_story_without_poster_and_captions(shelf: Any, make: Make, box: Mailbox) -> None:
    shelf.poster = None
    make().publish(shelf.publication(idea="", used_credits=None))
    assert "cid:" not in part(box.messages[0].message, "html")


def test_hostile_texts_stay_texts(shelf: Any, make: Make, box: Mailbox, hostile: str) -> None:
    make().publish(shelf.publication(title=hostile, idea=hostile, aspect_ratio=hostile, id=hostile))
    (mail,) = box.messages
    message = mail.message
    assert mail.recipients == (ANN, BOB)
    assert message["Bcc"] is None
    assert "Bcc: eve@evil.test *bold* 🎬👩‍👩‍👧 שלום evil" in message["Subject"]
    assert len(message["Subject"]) <= 200
    html = part(message, "html")
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;!channel&gt;" in html
    assert "\u202e" not in html + part(message, "plain")
    assert "<script>alert(1)</script> &" in part(message, "plain")
    assert len(html) < 12_000


def test_control_characters_in_a_title_end_in_no_header(shelf: Any, make: Make, box: Mailbox) -> None:
    title = "a\r\nX-Evil: 1\n\nbody\x00\x0b\x85\u2028end"
    make().publish(shelf.publication(title=title))
    message = box.messages[0].message
    assert message["X-Evil"] is None
    assert message["Subject"] == "a X-Evil: 1 body end"


def test_the_message_id_belongs_to_the_message(shelf: Any, make: Make, box: Mailbox) -> None:
    make().publish(shelf.publication())
    shelf.saved = {}
    place = make()
    place.publish(shelf.publication())
    place.publish(shelf.publication(repeat=1))
    place.publish(shelf.publication(message="step-2", revision=2))
    first, again, repeat, revision = (mail.message for mail in box.messages)
    assert first["Message-ID"] == again["Message-ID"]
    assert first["Message-ID"].endswith("@example.test>")
    assert len({first["Message-ID"], repeat["Message-ID"], revision["Message-ID"]}) == 3
    assert len({mail["References"] for mail in (first, repeat, revision)}) == 1
    assert revision["Subject"] == "A letter (revision 2)"


@pytest.mark.parametrize("fault", ["drop_after_accept", "mute_after_accept"])
def test_a_lost_answer_is_retried_under_the_same_message_id(
    shelf: Any, make: Make, box: Mailbox, fault: str
) -> None:
    setattr(box.faults, fault, 1)
    place = make(data_timeout=0.5)
    with pytest.raises(DeliveryFailed) as failed:
        place.publish(shelf.publication())
    assert (failed.value.permanent, failed.value.refused) == (False, False)
    place.publish(shelf.publication())
    first, second = (mail.message["Message-ID"] for mail in box.messages)
    assert first == second


def test_what_was_sent_is_not_sent_again(shelf: Any, make: Make, box: Mailbox) -> None:
    place = make()
    place.publish(shelf.publication())
    remark = place.publish(shelf.publication()).remark
    assert remark == "sent to 2; what bounces later goes to relay@example.test"
    assert len(box.messages) == 1


def test_only_the_greylisted_are_sent_it_again(shelf: Any, make: Make, box: Mailbox) -> None:
    box.faults.refuse[BOB] = "450 4.2.0 Greylisted"
    place = make()
    with pytest.raises(DeliveryFailed, match=r"bob@example\.test \(450 .*1 of 2 have it") as failed:
        place.publish(shelf.publication())
    assert not failed.value.permanent
    del box.faults.refuse[BOB]
    place.publish(shelf.publication())
    assert [mail.recipients for mail in box.messages] == [(ANN,), (BOB,)]
    assert len({mail.message["Message-ID"] for mail in box.messages}) == 1


def test_greylisting_of_all_is_retried(shelf: Any, make: Make, box: Mailbox) -> None:
    box.faults.greylist = 1
    place = make()
    with pytest.raises(DeliveryFailed, match="451") as failed:
        place.publish(shelf.publication())
    assert not failed.value.permanent
    place.publish(shelf.publication())
    assert [mail.recipients for mail in box.messages] == [(ANN, BOB)]


def test_recipients_refused_for_good_are_reported_and_left_out(shelf: Any, make: Make, box: Mailbox) -> None:
    box.faults.refuse[BOB] = "550 5.1.1 No such user <b>\x1b[31m"
    remark = make().publish(shelf.publication()).remark
    assert "bob@example.test (550 5.1.1 No such user" in remark
    assert remark.isprintable()
    assert "bob@example.test" in make().publish(shelf.publication()).remark
    assert len(box.messages) == 1


def test_a_mail_that_nobody_takes_is_permanent(shelf: Any, make: Make, box: Mailbox) -> None:
    box.faults.refuse |= {ANN: "550 No such user", BOB: "553 No such user"}
    for _ in range(2):
        with pytest.raises(DeliveryFailed, match="every recipient") as failed:
            make().publish(shelf.publication())
        assert failed.value.permanent


@pytest.mark.parametrize(
    ("reply", "permanent"),
    [("554 5.7.1 Spam", True), ("550 5.7.26 Not authenticated", True), ("451 4.3.0 Try later", False)],
)
def test_a_refused_message(shelf: Any, make: Make, box: Mailbox, reply: str, permanent: bool) -> None:
    box.faults.data.append(reply)
    with pytest.raises(DeliveryFailed, match=reply[:3]) as failed:
        make().publish(shelf.publication())
    assert (failed.value.permanent, failed.value.refused) == (permanent, False)
    make().publish(shelf.publication())
    assert len(box.messages) == 1


def test_a_crash_after_it_was_saved_sends_nothing_more(shelf: Any, make: Make, box: Mailbox) -> None:
    shelf.stop_after_saves = 1
    with pytest.raises(BaseException, match=r"^$"):
        make().publish(shelf.publication())
    make().publish(shelf.publication())
    assert len(box.messages) == 1


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_logs_in_over_tls(
    shelf: Any, tools: ConnectorTools, tls: ssl.SSLContext, certificate: Path, security: str
) -> None:
    login = {"username": "relay", "password": "t0ps3cret", "ca_file": certificate, "host": "localhost"}
    with Mailbox(tls=tls, implicit_tls=security == "tls", login=("relay", "t0ps3cret")) as box:
        place = EmailConnector(options(box, security=security, **login), tools)
        place.publish(shelf.publication())
        assert "relay at localhost" in place.check()
        assert len(box.messages) == 1
        wrong = EmailConnector(options(box, security=security, **{**login, "password": "wr0ngs3cret"}), tools)
        for act in (lambda: wrong.publish(shelf.publication(repeat=1)), wrong.check):
            with pytest.raises(DeliveryFailed, match="535") as failed:
                act()
            assert failed.value.refused
            assert "wr0ngs3cret" not in str(failed.value)
        unknown = EmailConnector(options(box, security=security, **{**login, "ca_file": None}), tools)
        with pytest.raises(DeliveryFailed, match="certificate"):
            unknown.check()
        nobody = EmailConnector(options(box, security=security, ca_file=certificate, host="localhost"), tools)
        with pytest.raises(DeliveryFailed, match="530") as failed:
            nobody.publish(shelf.publication(repeat=2))
        assert failed.value.refused


def test_no_mail_goes_out_in_the_clear_when_starttls_is_missing(make: Make, shelf: Any, box: Mailbox) -> None:
    with pytest.raises(DeliveryFailed, match="STARTTLS") as failed:
        make(security="starttls").publish(shelf.publication())
    assert failed.value.refused
    assert box.messages == []


def test_nobody_listens(shelf: Any, make: Make, nobody_listens: int) -> None:
    place = make(port=nobody_listens)
    for act in (lambda: place.publish(shelf.publication()), place.check, place.send_test):
        with pytest.raises(DeliveryFailed, match="refused") as failed:
            act()
        assert not failed.value.permanent


def test_notices_and_tests(make: Make, box: Mailbox, notice: Notice) -> None:
    place = make()
    place.notify(notice)
    place.send_test()
    told, tried = (mail.message for mail in box.messages)
    assert told["Subject"] == "[Storyrelay] Not delivered <!here>"
    assert told.get_content().splitlines()[:2] == ["Why: <b>", "& more"]
    assert "test" in tried.get_content()


def test_templates_of_ones_own(shelf: Any, make: Make, box: Mailbox, tools: ConnectorTools) -> None:
    (tools.base / "mail.html").write_text("<p>{{ story.title }}</p>{{ story.snapshot.status }}")
    (tools.base / "mail.txt").write_text("{{ video.seconds|clock }} {{ story.title|upper }}")
    place = make(subject="New: {{ story.title }}", template="mail.html", text_template="mail.txt")
    place.publish(shelf.publication(title="<b>&"))
    message = box.messages[0].message
    assert message["Subject"] == "New: <b>&"
    assert part(message, "html").strip() == "<p>&lt;b&gt;&amp;</p>success"
    assert part(message, "plain").strip() == "0:15 <B>&"


@pytest.mark.parametrize(
    "broken",
    [
        {"subject": "{{ story.titel }}"},
        {"subject": "{% if %}"},
        {"subject": "{{ ''.__class__.__mro__ }}"},
        {"subject": "{{ 1 / 0 }}"},
        {"template": "missing.html"},
    ],
)
def test_a_broken_template_is_found_at_once(make: Make, broken: dict[str, str]) -> None:
    with pytest.raises(BrokenTemplate, match="template") as failed:
        make(**broken)
    assert failed.value.refused


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"to": []}, "at least 1"),
        ({"to": ["nobody"]}, "one e-mail address"),
        ({"to": ["a@b.test\r\nBcc: eve@evil.test"]}, "one e-mail address"),
        ({"from": "a@b.test, c@d.test"}, "one e-mail address"),
        ({"host": "mail.example.test"}, "insecure = true"),
        ({"username": "relay"}, "belong together"),
        ({"security": "ssl"}, "starttls"),
        ({"port": 0}, "greater than"),
        ({"cc2": []}, "Extra inputs"),
    ],
)
def test_options_are_checked(box: Mailbox, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        options(box, **wrong)


def test_an_insecure_server_may_be_meant(box: Mailbox) -> None:
    assert options(box, host="mail.example.test", insecure=True).security == "none"
    assert "t0ps3cret" not in repr(options(box, username="u", password="t0ps3cret"))


@pytest.mark.parametrize(
    "title",
    [
        "=?utf-8?q?x=0D=0AReply-To:_evil@x.test=0D=0AContent-Type:_text/html=0D=0A=0D=0A<a_href=//evil.test>Log_in</a>?=",
        "=?utf-8?b?eA0KQmNjOiBldmlsQHgudGVzdA==?=",
        "=?x?q?=ff?= =?utf-8?q?=0D=0A=0D=0Abody?=",
    ],
)
def test_encoded_words_in_a_title_begin_no_headers(
    shelf: Any, make: Make, box: Mailbox, notice: Notice, title: str
) -> None:
    make().publish(shelf.publication(title=title))
    make().notify(dataclasses.replace(notice, title=title))
    for mail in box.messages:
        assert mail.message["Reply-To"] is None
        assert mail.message["Bcc"] is None
        assert (
            mail.message.get_content_type().startswith("multipart/")
            or mail.message.get_content_type() == "text/plain"
        )
        assert "evil" not in str(mail.message.get_body(("plain",)).get_content()).split("=?")[0]  # type: ignore[union-attr]
