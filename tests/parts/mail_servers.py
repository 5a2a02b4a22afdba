"""Postfix with Dovecot, as they stand in thousands of companies, on loopback and free ports, in a folder of its own.

Postfix's master has to be started by root; its parts then run as `postfix`, Dovecot's as `dovecot` and `dovenull`.
"""

import email
import email.policy
import imaplib
import os
import pwd
import shutil
import signal
import smtplib
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

from machine import await_that, free_port

PASSWORD = "t0ps3cret"
ACCEPTED = ("ann", "bob", "relay", "bounces", "gone")
"""Whom Postfix takes mails for, at example.test; `gone` has no mailbox in Dovecot: it is found out later."""
SIZE_LIMIT = 1_000_000
START_SECONDS = 20
PACKAGES = "apt-get install -y --no-install-recommends postfix dovecot-imapd dovecot-lmtpd openssl"

_SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

_POSTFIX = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mail.example.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
virtual_mailbox_domains = example.test
virtual_mailbox_maps = texthash:{folder}/accepted
virtual_transport = lmtp:unix:{folder}/lmtp
message_size_limit = {size_limit}
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtpd_tls_chain_files = {folder}/localhost.pem
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {folder}/auth
smtpd_client_restrictions = permit_sasl_authenticated, reject
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{policy}, permit
smtpd_sender_login_maps = inline:{{ relay@example.test=relay@example.test, bounces@example.test=relay@example.test }}
smtpd_sender_restrictions = reject_sender_login_mismatch
notify_classes =
"""

_DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail/%n
mail_uid = dovecot
mail_gid = dovecot
first_valid_uid = 1
first_valid_gid = 1
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
}}
"""


class GreylistingPolicy(socketserver.ThreadingTCPServer):
    """Postfix's policy protocol: each recipient in `greylisted` is put off once."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _PolicyHandler)
        self.greylisted: set[str] = set()


class _PolicyHandler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, GreylistingPolicy)
        asked: dict[str, str] = {}
        while line := self.rfile.readline():
            name, _, value = line.decode().strip().partition("=")
            asked[name] = value
            if not name:
                action = "DUNNO"
                if asked.get("recipient") in self.server.greylisted:
                    self.server.greylisted.discard(asked["recipient"])
                    action = "DEFER Greylisted, please try again in 120 seconds"
                self.wfile.write(f"action={action}\n\n".encode())
                asked = {}


@dataclass
class MailServers:
    """Running servers. `port` speaks SMTP with STARTTLS, and wants the login `relay@example.test`."""

    folder: Path
    port: int
    imap_port: int
    policy: GreylistingPolicy = field(repr=False)

    @property
    def certificate(self) -> Path:
        return self.folder / "localhost.pem"

    def found(self, user: str, message_id: str, seconds: float = 20) -> list[EmailMessage]:
        """The mails of that Message-ID in a user's mailbox, when there is one or the time is over."""
        return self._search(user, "Message-ID", message_id, seconds)

    def thread(self, user: str, message_id: str, seconds: float = 20) -> list[EmailMessage]:
        """The mails that refer to it."""
        return self._search(user, "References", message_id, seconds)

    def bounce_of(self, user: str, envelope_id: str, seconds: float = 20) -> EmailMessage:
        """The report (RFC 3464) about the mail that was sent under that ENVID."""
        found: list[EmailMessage] = []

        def is_there() -> bool:
            reports = self._searched(user, "Auto-Submitted", "auto-replied")
            found.extend(mail for mail in reports if envelope_id in mail.as_string())
            return bool(found)

        await_that(is_there, f"a bounce of {envelope_id}", seconds, now=self.log)
        return found[0]

    def log(self) -> str:
        return (self.folder / "mail.log").read_text() + (self.folder / "dovecot.log").read_text()

    def _search(self, user: str, header: str, value: str, seconds: float) -> list[EmailMessage]:
        deadline = time.monotonic() + seconds
        while not (found := self._searched(user, header, value)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def _searched(self, user: str, header: str, value: str) -> list[EmailMessage]:
        with imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=10) as imap:
            imap.login(f"{user}@example.test", PASSWORD)
            imap.select("INBOX", readonly=True)
            _, (numbers,) = imap.search(None, "HEADER", header, f'"{value}"')
            return [self._fetched(imap, number.decode()) for number in numbers.split()]

    def _fetched(self, imap: imaplib.IMAP4, number: str) -> EmailMessage:
        _, parts = imap.fetch(number, "(RFC822)")
        assert isinstance(parts[0], tuple)
        return email.message_from_bytes(parts[0][1], policy=email.policy.default)


def not_here() -> str | None:
    """What keeps these servers from running here, None where nothing does."""
    missing = [name for name in ("postfix", "dovecot", "openssl") if _program(name) is None]
    if missing:
        return f"no {', '.join(missing)}: {PACKAGES}"
    return None if os.geteuid() == 0 else "Postfix is started by root only"


@contextmanager
def running_mail_servers() -> Iterator[MailServers]:
    """Both servers, ended by their process groups."""
    # not below pytest's own folder, where other users can't look
    with (
        tempfile.TemporaryDirectory(prefix="storyrelay-mail-", ignore_cleanup_errors=True) as name,
        _policy() as policy,
    ):
        yield from _started(Path(name), policy)


def _started(folder: Path, policy: GreylistingPolicy) -> Iterator[MailServers]:
    folder.chmod(0o755)
    servers = MailServers(folder, free_port(), free_port(), policy)
    _write(servers)
    dovecot = _spawn([_program("dovecot"), "-F", "-c", folder / "dovecot.conf"], folder)
    try:
        await_that(lambda: _answers(servers.imap_port), "Dovecot", START_SECONDS)
        subprocess.run(
            [_program("postfix"), "-c", folder / "postfix", "check"], check=True, capture_output=True
        )
        master = _spawn([_daemons() / "master", "-c", folder / "postfix", "-d"], folder)
        try:
            await_that(lambda: _greets(servers.port), "Postfix", START_SECONDS, now=servers.log)
            yield servers
        finally:
            _end(master)
    finally:
        _end(dovecot)


def _write(servers: MailServers) -> None:
    folder = servers.folder
    (folder / "postfix").mkdir()
    for name in ("queue", "data", "mail"):
        (folder / name).mkdir()
    _own(folder / "data", "postfix")
    _own(folder / "mail", "dovecot")
    key = ("-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=DNS:localhost")
    pem = folder / "localhost.pem"
    subprocess.run(
        ["openssl", "req", "-x509", *key, *names, "-keyout", pem, "-out", folder / "certificate"],
        check=True,
        capture_output=True,
    )
    pem.write_bytes(pem.read_bytes() + (folder / "certificate").read_bytes())
    users = [f"{name}@example.test:{{PLAIN}}{PASSWORD}::::::\n" for name in ACCEPTED if name != "gone"]
    (folder / "users").write_text("".join(users))
    (folder / "accepted").write_text("".join(f"{name}@example.test x\n" for name in ACCEPTED))
    (folder / "dovecot.conf").write_text(_DOVECOT.format(folder=folder, imap=servers.imap_port))
    policy = servers.policy.server_address[1]
    main = _POSTFIX.format(folder=folder, size_limit=SIZE_LIMIT, policy=policy)
    (folder / "postfix" / "main.cf").write_text(main)
    (folder / "postfix" / "master.cf").write_text(_SERVICES.format(port=servers.port))
    (folder / "mail.log").touch()
    (folder / "dovecot.log").touch()


def _own(path: Path, user: str) -> None:
    os.chown(path, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)


def _spawn(command: list[object], folder: Path) -> "subprocess.Popen[bytes]":
    log = (folder / "started.log").open("ab")
    return subprocess.Popen(
        [str(word) for word in command], start_new_session=True, stdout=log, stderr=log, cwd="/"
    )


def _end(server: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@contextmanager
def _policy() -> Iterator[GreylistingPolicy]:
    with GreylistingPolicy() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def _daemons() -> Path:
    asked = subprocess.run(
        [str(_program("postconf")), "-dh", "daemon_directory"], check=True, capture_output=True, text=True
    )
    return Path(asked.stdout.strip())


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _greets(port: int) -> bool:
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=2) as smtp:
            return smtp.ehlo()[0] == 250
    except (OSError, smtplib.SMTPException):
        return False
