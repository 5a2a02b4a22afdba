import smtplib
from email.message import EmailMessage
from pathlib import Path

import pytest

from service.stand_ins.mailbox import Mailbox

TO = ["ann@example.test", "bob@example.test"]


def message() -> EmailMessage:
    built = EmailMessage()
    built["From"], built["To"], built["Subject"] = "relay@example.test", ", ".join(TO), "Grüße 🎬"
    built.set_content("Hello.\n.\nA dot stood alone.\n")
    return built


def send(box: Mailbox) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP(box.host, box.port, timeout=5) as smtp:
        return smtp.send_message(message(), to_addrs=TO)


def test_keeps_messages_parsed_and_as_files(tmp_path: Path) -> None:
    with Mailbox(folder=tmp_path) as box:
        assert send(box) == {}
        (mail,) = box.messages
    assert mail.sender == "relay@example.test"
    assert mail.recipients == tuple(TO)
    assert mail.message["Subject"] == "Grüße 🎬"
    assert mail.message.get_content().splitlines() == ["Hello.", ".", "A dot stood alone."]
    assert [path.name for path in tmp_path.iterdir()] == ["0001.eml"]


def test_login() -> None:
    with Mailbox(login=("relay", "right")) as box, smtplib.SMTP(box.host, box.port, timeout=5) as smtp:
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            smtp.send_message(message(), to_addrs=TO)
        assert refused.value.smtp_code == 530
        with pytest.raises(smtplib.SMTPAuthenticationError) as wrong:
            smtp.login("relay", "wrong")
        assert wrong.value.smtp_code == 535
        smtp.login("relay", "right")
        smtp.send_message(message(), to_addrs=TO)
        assert len(box.messages) == 1


def test_greylists_each_recipient() -> None:
    with Mailbox() as box:
        box.faults.greylist = 1
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(box)
        assert {code for code, _ in refused.value.recipients.values()} == {451}
        assert send(box) == {}
        assert len(box.messages) == 1


def test_refuses_one_recipient() -> None:
    with Mailbox() as box:
        box.faults.refuse["bob@example.test"] = "550 5.1.1 No such user"
        assert send(box) == {"bob@example.test": (550, b"5.1.1 No such user")}
        assert [mail.recipients for mail in box.messages] == [("ann@example.test",)]


def test_refuses_a_message() -> None:
    with Mailbox() as box:
        box.faults.data.append("554 5.7.1 Spam")
        with pytest.raises(smtplib.SMTPDataError):
            send(box)
        assert box.messages == []


def test_drops_the_connection_after_it_accepted() -> None:
    with Mailbox() as box:
        box.faults.drop_after_accept = 1
        with pytest.raises(smtplib.SMTPServerDisconnected):
            send(box)
        assert len(box.messages) == 1
        assert send(box) == {}
        assert len(box.messages) == 2


def test_falls_silent_after_it_accepted() -> None:
    with Mailbox() as box:
        box.faults.mute_after_accept = 1
        with (
            pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"),
            smtplib.SMTP(box.host, box.port, timeout=0.3) as smtp,
        ):
            smtp.send_message(message(), to_addrs=TO)
        assert len(box.messages) == 1
