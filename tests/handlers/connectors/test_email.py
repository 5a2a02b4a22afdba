import dataclasses
import email
import email.policy
import email.utils
import ssl
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.connectors.email import EmailConnector, EmailOptions
from handlers.connectors.email_wire import wire_with
from handlers.connectors.smtp import _xtext
from handlers.connectors.smtp_replies import Reply
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


def test_a_route_may_have_templates_of_its_own(
    shelf: Any, make: Make, box: Mailbox, tools: ConnectorTools
) -> None:
    (tools.base / "upright.html").write_text("<p>Upright: {{ story.title }}</p>")
    (tools.base / "upright.txt").write_text("Upright by {{ route }}")
    place = make(templates={"upright": "upright.html"}, text_templates={"upright": "upright.txt"})
    place.publish(dataclasses.replace(shelf.publication(), route="upright"))
    place.publish(shelf.publication(repeat=1))
    upright, usual = (mail.message for mail in box.messages)
    assert part(upright, "html").strip() == "<p>Upright: A letter</p>"
    assert part(upright, "plain").strip() == "Upright by upright"
    assert "Watch the video" in part(usual, "html")
    with pytest.raises(BrokenTemplate, match=r"missing\.html"):
        make(templates={"upright": "missing.html"})


def test_says_where_else_the_story_stands(shelf: Any, make: Make, box: Mailbox) -> None:
    elsewhere = {"blog<b>": "https://blog.test/a?b=1&c=2", "evil": "javascript:alert(1)"}
    make().publish(dataclasses.replace(shelf.publication(), elsewhere=elsewhere))
    message = box.messages[0].message
    assert '<a href="https://blog.test/a?b=1&amp;c=2"' in part(message, "html")
    assert "blog&lt;b&gt;</a>" in part(message, "html")
    assert "blog<b>: https://blog.test/a?b=1&c=2" in part(message, "plain")
    assert "javascript" not in message.as_string()


def test_headers_of_lists(shelf: Any, make: Make, box: Mailbox, notice: Notice) -> None:
    make().publish(shelf.publication())
    unsubscribe = ["mailto:stop@example.test?subject=stop", "https://example.test/stop?u=1"]
    make(list_id="videos.example.test", list_unsubscribe=unsubscribe, one_click=True).publish(
        shelf.publication(repeat=1)
    )
    make().notify(notice)
    usual, told, to_the_operator = (mail.message for mail in box.messages)
    assert (usual["List-Id"], usual["List-Unsubscribe"]) == ("<team.storyrelay.example.test>", None)
    assert told["List-Id"] == "<videos.example.test>"
    assert [one.strip(" <>") for one in told["List-Unsubscribe"].split(",")] == unsubscribe
    assert told["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert to_the_operator["List-Id"] is None


def test_a_preview_shows_the_mail_and_reaches_nobody(
    shelf: Any, make: Make, box: Mailbox, nobody_listens: int, hostile: str
) -> None:
    eml, html, text = make(port=nobody_listens).preview(shelf.publication(title=hostile))
    assert [one.name for one in (eml, html, text)] == ["mail.eml", "mail.html", "mail.txt"]
    message = email.message_from_string(eml.text, policy=email.policy.default)
    assert message["Message-ID"]
    assert message["Bcc"] is None
    kinds = [
        (one.get_content_type(), len(one.get_content())) for one in message.walk() if not one.is_multipart()
    ]
    assert [kind for kind, size in kinds if size == 0] == ["image/jpeg", "video/mp4"]
    assert part(message, "html").strip() == html.text  # type: ignore[arg-type]
    assert "&lt;script&gt;alert(1)" in html.text
    assert "<script>alert(1)</script>" in text.text
    assert "https://relay.test/media/v?a=1&b=2" in text.text
    shelf.poster = None
    assert "image/jpeg" not in make(attach_limit=0).preview(shelf.publication())[0].text
    assert box.messages == []


def test_mails_are_not_taken_back(shelf: Any, make: Make, box: Mailbox) -> None:
    make().publish(shelf.publication())
    with pytest.raises(DeliveryFailed, match=r"can't be taken back.*ann@example\.test") as failed:
        make().withdraw(shelf.withdrawal())
    assert failed.value.permanent


@pytest.mark.parametrize("reply", ["552 5.3.4 Message too big", "552 Too large", "554 5.2.3 Over the limit"])
def test_a_mail_that_is_too_large_goes_once_more_with_a_link(
    shelf: Any, make: Make, box: Mailbox, reply: str
) -> None:
    box.faults.data.append(reply)
    remark = make().publish(shelf.publication()).remark
    assert f"the video is linked: {make()._server} answered {reply}" in remark
    (mail,) = box.messages
    assert attachments(mail.message) == []
    assert "attached" not in part(mail.message, "plain")


def test_a_mail_that_is_too_large_without_its_video_is_permanent(
    shelf: Any, make: Make, box: Mailbox
) -> None:
    box.faults.data += ["552 Too large", "552 Too large"]
    with pytest.raises(DeliveryFailed, match="552") as failed:
        make().publish(shelf.publication())
    assert failed.value.permanent
    assert not box.faults.data


def test_a_stop_while_the_video_is_sent_leaves_no_mail(shelf: Any, make: Make, box: Mailbox) -> None:
    with shelf.video.open("r+b") as file:
        file.truncate(3_000_000)
    checks = iter(range(100))

    def check() -> None:
        if next(checks) == 4:
            raise Stopped

    with pytest.raises(Stopped):
        make().publish(dataclasses.replace(shelf.publication(), check=check))
    assert next(checks) == 5
    make().publish(shelf.publication())
    (mail,) = box.messages
    assert attachments(mail.message)[0][2] == 3_000_000


class Stopped(BaseException):
    """As the deliver step ends an attempt."""


@pytest.mark.parametrize("size", [0, 1, 2, 3, 56, 57, 58, 57 * 4096 - 1, 57 * 4096, 57 * 4096 + 1])
def test_a_streamed_attachment_has_the_size_that_was_said(tmp_path: Path, size: int) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(bytes(range(256)) * (size // 256) + bytes(range(size % 256)))
    built = EmailMessage(policy=email.policy.SMTP)
    built.set_content(".\n.. dots\nof lines\n")
    wire = wire_with(built, path, "a.mp4")
    sent = b"".join(wire.chunks())
    assert b"\r\n..\r\n... dots\r\n" in sent
    plain = sent.replace(b"\r\n..", b"\r\n.")
    assert len(plain) == wire.size
    read = email.message_from_bytes(plain, policy=email.policy.default)
    assert [one.get_content() for one in read.iter_attachments()] == [path.read_bytes()]  # type: ignore[attr-defined]
    assert max(len(each) for each in plain.split(b"\r\n")) <= 78


@pytest.mark.parametrize(
    ("reply", "wait"),
    [
        ("450 4.2.0 Greylisted, see http://postgrey.schweikert.ch/help/example.test.html", 300),
        ("451 4.7.1 Greylisting in action, please come back later", 300),
        ("451 4.7.1 Graylisted, try again in 5 minutes", 300),
        ("450 4.7.1 Please try again in 90 seconds", 90),
        ("450 4.7.1 wait 1s", 5),
        ("451 try again after 9999 minutes", 3600),
        ("452 4.2.2 Mailbox full", None),
        ("421 4.3.2 Too busy", None),
        ("451 in 7 days", None),
    ],
)
def test_the_wait_that_a_server_asks_for(reply: str, wait: float | None) -> None:
    code, _, text = reply.partition(" ")
    assert Reply.of(int(code), text).wait == wait


def test_a_used_up_daily_limit_is_not_for_good(shelf: Any, make: Make, box: Mailbox) -> None:
    box.faults.data.append("550 5.4.5 Daily user sending limit exceeded")
    with pytest.raises(DeliveryFailed, match=r"5\.4\.5") as failed:
        make().publish(shelf.publication())
    assert (failed.value.permanent, failed.value.refused) == (False, False)


def test_a_policy_against_all_pauses_and_against_one_is_told(shelf: Any, make: Make, box: Mailbox) -> None:
    box.faults.refuse |= {ANN: "554 5.7.1 Relay access denied", BOB: "554 5.7.1 Relay access denied"}
    with pytest.raises(DeliveryFailed, match=r"Relay access denied; see the options from") as failed:
        make().publish(shelf.publication())
    assert failed.value.refused
    del box.faults.refuse[ANN]
    assert "bob@example.test (554 5.7.1 Relay" in make().publish(shelf.publication()).remark


def test_addresses_beyond_ascii_need_a_server_that_takes_them(shelf: Any, make: Make, box: Mailbox) -> None:
    make(to=["Jörg <jörg@example.test>"], bounces_to="bounces@example.test").publish(shelf.publication())
    (mail,) = box.messages
    assert (mail.sender, mail.recipients) == ("bounces@example.test", ("jörg@example.test",))
    assert mail.message["To"] == "Jörg <jörg@example.test>"


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
        ({"list_id": "Videos <x>"}, "like a host's name"),
        ({"list_unsubscribe": ["http://example.test/stop"]}, "mailto:"),
        ({"list_unsubscribe": ["https://example.test/>\r\nBcc: eve@evil.test"]}, "mailto:"),
        ({"one_click": True, "list_unsubscribe": ["mailto:stop@example.test"]}, "https address"),
        ({"bounces_to": "nobody"}, "one e-mail address"),
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


def test_the_envelope_id_may_hold_any_character() -> None:
    assert _xtext("step-1 +=é") == "step-1+20+2B+3D+C3+A9"  # RFC 3461 §4
