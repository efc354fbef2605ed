"""A real SMTP server (aiosmtpd) on loopback: STARTTLS or TLS with a certificate of our own authority, and a login."""

from __future__ import annotations

import email
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.servers.process import free_port

USER, PASSWORD = "healthd", "verysecretpassword"


class MailServer:
    """`mails` are those taken, `peers` how each came (encrypted, signed in), `refuse` answers to RCPT by address."""

    def __init__(self, folder: Path, *, tls: bool = False, starttls: bool = True, login: bool = True) -> None:
        authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        self.mails: list[EmailMessage] = []
        self.peers: list[tuple[bool, bool]] = []
        self.refuse: dict[str, str] = {}
        self.data_answer = ""
        self.port = free_port()
        options: dict[str, Any] = {"auth_require_tls": True, "auth_required": login, "authenticator": _authenticate}
        if tls:
            options |= {"ssl_context": context, "auth_require_tls": False}
        elif starttls:
            options |= {"tls_context": context, "require_starttls": True}
        else:
            options |= {"auth_required": False}
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)

    def start(self) -> MailServer:
        self._controller.start()
        return self

    def stop(self) -> None:
        self._controller.stop()

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, _: list[str]) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data_answer:
            return self.data_answer
        assert isinstance(envelope.content, bytes)
        self.mails.append(cast(EmailMessage, email.message_from_bytes(envelope.content, policy=default)))
        transport = server.transport
        encrypted = transport is not None and transport.get_extra_info("ssl_object") is not None
        self.peers.append((encrypted, bool(session.authenticated)))
        return "250 OK"


def _authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
    assert isinstance(data, LoginPassword)
    return AuthResult(
        success=(data.login.decode(), data.password.decode()) == (USER, PASSWORD),
        handled=False,
        message="535 5.7.8 Authentication credentials invalid",
    )


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[MailServer]:
    """One that wants STARTTLS and a login."""
    server = MailServer(tmp_path).start()
    yield server
    server.stop()
