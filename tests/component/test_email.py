"""E-mail through a real SMTP server: encryption, sign-in, conversations, refusals, and servers that misbehave."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from healthd.model.catalogue import ChannelSpec
from healthd.model.incidents import ChannelError, Message, Notice
from healthd.notify import CHANNELS, build_channel, compose_notice, compose_test
from healthd.notify.dressing import Dressed
from tests.servers.mail import PASSWORD, USER, MailServer
from tests.servers.process import free_port
from tests.telling import AT, make_incident, make_message


def mailer(server: MailServer, **options: Any) -> Dressed:
    given = {
        "host": "127.0.0.1", "port": server.port, "username": USER, "password": PASSWORD, "timeout": "5s",
        "ca_file": str(server.ca_file), "from": "healthd <healthd@example.com>", "to": "ops@example.com, b@example.com",
        **options,
    }  # fmt: skip
    return build_channel(ChannelSpec("mail", "email", {k: v for k, v in given.items() if v is not None}))


def plain_mailer(port: int, **options: Any) -> Dressed:
    given = {"host": "127.0.0.1", "port": port, "security": "none", "from": "a@example.com", "to": "b@example.com"}
    return build_channel(ChannelSpec("mail", "email", {**given, "timeout": "1s", **options}))


async def test_encrypted_signed_in_and_as_a_conversation(mail_server: MailServer) -> None:
    channel = mailer(mail_server)
    await channel.send(make_message("INC-1-1-mail"))
    await channel.send(make_message("INC-1-2-mail", event="resolved", incident=make_incident(resolved_at=AT)))
    await channel.close()
    first, second = mail_server.mails
    assert mail_server.peers == [(True, True)] * 2
    assert first["Subject"] == "[healthd] The Shop: Shop front is slow"
    assert second["Subject"] == "Re: [healthd] The Shop: Shop front is slow"
    assert first["References"] == second["References"] == first["In-Reply-To"]
    assert first["Message-ID"] != second["Message-ID"]
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["To"] == "ops@example.com, b@example.com"
    text, html = first.get_body(("plain",)), first.get_body(("html",))
    assert text is not None
    assert html is not None
    lead = text.get_content().splitlines()[:3]
    assert lead == ["Firing (CRITICAL): The Shop: Shop front is slow", "", "latency 1.2s >= 1s"]
    assert "latency 1.2s &gt;= 1s" in html.get_content()
    assert "redis-cli info memory" in html.get_content()


async def test_a_repetition_can_be_recognised(mail_server: MailServer) -> None:
    channel = mailer(mail_server)
    for _ in range(2):
        await channel.send(make_message("INC-1-1-mail"))
    assert len({mail["Message-ID"] for mail in mail_server.mails}) == 1


async def test_tls_from_the_beginning(tmp_path: Path) -> None:
    server = MailServer(tmp_path, tls=True).start()
    await mailer(server, security="tls").send(compose_test("mail", AT))
    server.stop()
    assert server.peers == [(True, True)]
    assert server.mails[0]["Subject"].startswith("Test: ")


async def test_without_encryption_where_that_is_asked_for(tmp_path: Path) -> None:
    server = MailServer(tmp_path, starttls=False).start()
    await plain_mailer(server.port).send(make_message())
    with pytest.raises(ChannelError, match="STARTTLS") as error:
        await mailer(server).send(make_message())
    server.stop()
    assert error.value.permanent
    assert server.peers == [(False, False)]


async def test_a_notice_is_markdown_made_html(mail_server: MailServer) -> None:
    text = "# All\n**3** of\n\n| a | b |\n|--|--|\n| 1 | <x> |"
    notice = Notice("report", "RPT-1", "shop", "Morning: <all> OK", text, AT)
    body = compose_notice(notice, None, "https://healthd.example", str)
    await mailer(mail_server).send(Message("RPT-1-mail", "mail", "report/shop", "notice", AT, body))
    (mail,) = mail_server.mails
    html = mail.get_body(("html",))
    assert html is not None
    assert "<h3>All</h3>" in html.get_content()
    assert "<td>&lt;x&gt;</td>" in html.get_content()
    assert mail["References"] is None


@pytest.mark.parametrize(
    "title", ["a\r\nBcc: evil@example.com", "ü😀" * 300, "x" * 5000, "\x00\x1b[31m", "=?utf-8?q?x?="]
)
async def test_nothing_in_a_title_becomes_a_header(mail_server: MailServer, title: str) -> None:
    await mailer(mail_server).send(make_message(incident=make_incident(title=title, reason=title)))
    (mail,) = mail_server.mails
    assert mail["Bcc"] is None
    assert len(mail["Subject"]) < 230


async def test_some_recipients_refused_is_no_failure_and_all_are(mail_server: MailServer) -> None:
    channel = mailer(mail_server)
    mail_server.refuse["ops@example.com"] = "550 no such user"
    await channel.send(make_message())
    assert len(mail_server.mails) == 1
    mail_server.refuse["b@example.com"] = "550 no such user"
    with pytest.raises(ChannelError, match="refused all recipients: 550 no such user") as error:
        await channel.send(make_message())
    assert error.value.permanent
    mail_server.refuse = dict.fromkeys(mail_server.refuse, "450 greylisted")
    with pytest.raises(ChannelError) as error:
        await channel.send(make_message())
    assert not error.value.permanent


@pytest.mark.parametrize(("answer", "permanent"), [("451 try later", False), ("552 too large", True)])
async def test_a_refused_mail(mail_server: MailServer, answer: str, permanent: bool) -> None:
    mail_server.data_answer = answer
    with pytest.raises(ChannelError, match=answer) as error:
        await mailer(mail_server).send(make_message())
    assert error.value.permanent is permanent


async def test_a_wrong_password_is_named_and_not_shown(mail_server: MailServer) -> None:
    with pytest.raises(ChannelError, match="check username and password") as error:
        await mailer(mail_server, password="othersecretpassword").send(make_message())
    assert error.value.permanent
    assert "othersecret" not in error.value.reason


async def test_a_certificate_of_nobody_we_know(mail_server: MailServer) -> None:
    with pytest.raises(ChannelError, match="certificate is not trusted"):
        await mailer(mail_server, ca_file=None).send(make_message())


async def test_nobody_listens() -> None:
    with pytest.raises(ChannelError, match="cannot connect: Connection refused") as error:
        await plain_mailer(free_port()).send(make_message())
    assert not error.value.permanent


def hostile(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A listener that does as it likes with everyone who comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        behave(connection)
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def drip(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"2")
        time.sleep(0.05)


def endless(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"220-more and more\r\n" * 1000)


def silence(connection: socket.socket) -> None:
    connection.recv(100)


def web_page(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("behave", [drip, endless, silence, web_page], ids=lambda f: f.__name__)
async def test_a_server_that_misbehaves_costs_no_more_than_the_timeout(behave: Callable[[socket.socket], None]) -> None:
    for port in hostile(behave):
        started = time.monotonic()
        before = threading.active_count()
        channel = plain_mailer(port)
        with pytest.raises(ChannelError):
            await channel.send(make_message())
        assert time.monotonic() - started < 10
        await channel.close()
        for _ in range(100):
            if threading.active_count() <= before:
                break
            time.sleep(0.02)
        assert threading.active_count() <= before + 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": ""},
        {"to": "nobody"},
        {"to": "a@b\nBcc: c@d"},
        {"from": "x"},
        {"security": "none", "username": "u", "password": "verysecret"},
        {"username": "u"},
        {"ca_file": "/nowhere"},
        {"port": 0},
    ],
)
def test_wrong_options(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as error:
        CHANNELS["email"].Options.model_validate({"host": "h", "from": "a@example.com", "to": "b@example.com", **wrong})
    assert "verysecret" not in str(error.value)
