"""The tls probe: certificates of real servers, good and bad, and in files."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from pydantic import ValidationError

from healthd.model.outcomes import Level, ProbeError
from healthd.probes import PROBES
from healthd.probes.tls import TlsProbe
from tests.component.looking import Looker, evidence, looking, values
from tests.servers import odd
from tests.servers.mail import MailServer
from tests.servers.nginx import NginxServer
from tests.servers.postgres import PostgresServer, system_binaries
from tests.servers.process import free_port


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["tls"]) as looker:
        yield looker


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


def served(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


async def test_a_good_certificate(nginx: NginxServer, look: Looker) -> None:
    seen = await look(host="localhost", port=nginx.tls_port, ca_file=nginx.ca_file, ip="ipv4")
    measured = values(seen)
    assert (measured["up"], measured["chain_valid"], measured["hostname_valid"]) == (1, 1, 1)
    assert measured["self_signed"] == 0
    assert 300 < float(measured["chain_days_left"]) <= float(measured["days_left"])
    assert float(measured["tls_time"]) > 0
    assert seen.note == ""
    assert "names: localhost, 127.0.0.1" in evidence(seen, "certificate")
    assert evidence(seen, "protocol").startswith("TLSv1.")


async def test_an_expired_certificate_is_measured(look: Looker, authority: trustme.CA, ca_file: Path) -> None:
    leaf = authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=3, minutes=1))
    async with odd.serving(odd.silent, served(leaf)) as server:
        seen = await look(host="127.0.0.1", port=server.port, ca_file=ca_file)
    assert (values(seen)["up"], values(seen)["chain_valid"], values(seen)["hostname_valid"]) == (1, 0, 1)
    assert float(values(seen)["days_left"]) == pytest.approx(-3, abs=0.01)
    assert seen.note == "certificate expired; expired 3d ago"


@pytest.mark.probe("tls")
async def test_a_certificate_for_another_name_is_valid_but_not_for_us(
    look: Looker, authority: trustme.CA, ca_file: Path
) -> None:
    async with odd.serving(odd.silent, served(authority.issue_cert("*.shop.example"))) as server:
        ask = {"host": "127.0.0.1", "port": server.port, "ca_file": ca_file}
        wrong = await look(**ask)
        right = await look(**ask, server_name="www.shop.example")
        deeper = await look(**ask, server_name="a.b.shop.example")
    assert (values(wrong)["chain_valid"], values(wrong)["hostname_valid"]) == (1, 0)
    assert wrong.note == "certificate is for *.shop.example, not for 127.0.0.1"
    assert (values(right)["hostname_valid"], values(deeper)["hostname_valid"]) == (1, 0)


async def test_an_untrusted_certificate(nginx: NginxServer, look: Looker) -> None:
    seen = await look(host="localhost", port=nginx.tls_port, ip="ipv4")
    assert (values(seen)["up"], values(seen)["chain_valid"]) == (1, 0)
    assert seen.note.startswith("certificate is not from a trusted issuer")
    insecure = await look(host="localhost", port=nginx.tls_port, insecure=True, ip="ipv4")
    assert "chain_valid" not in values(insecure)
    assert insecure.note == ""


async def test_the_whole_chain_counts(look: Looker, authority: trustme.CA, ca_file: Path) -> None:
    leaf = authority.create_child_ca().issue_cert("127.0.0.1")
    async with odd.serving(odd.silent, served(leaf)) as server:
        seen = await look(host="127.0.0.1", port=server.port, ca_file=ca_file)
    assert (values(seen)["chain_valid"], values(seen)["chain_length"]) == (1, 2)
    assert " <- " in evidence(seen, "chain")


async def test_no_tls_there(look: Looker) -> None:
    async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello, this is no TLS\r\n")
        await writer.drain()

    async with odd.serving(greets) as server:
        plain = await look(host="127.0.0.1", port=server.port)
    refused = await look(host="127.0.0.1", port=free_port())
    lost = await look(host="no-such-host.invalid")
    assert values(plain) == values(refused) == values(lost) == {"up": 0}
    assert refused.note == "connection refused"
    assert plain.note.startswith(("TLS: ", "connection "))
    assert "no-such-host.invalid" in lost.note


async def test_silence(look: Looker) -> None:
    look.timeout = timedelta(seconds=1)
    async with odd.serving(odd.silent) as server:
        seen = await look(host="127.0.0.1", port=server.port)
    assert (values(seen), seen.note) == ({"up": 0}, "no answer within 1s (TLS handshake)")


Words = list[tuple[bytes, bytes]]  # what the server says, what it then waits for

DIALOGUES: dict[str, Words] = {
    "smtp": [
        (b"220-hello\r\n220 mail\r\n", b"EHLO"),
        (b"250-mail\r\n250 STARTTLS\r\n", b"STARTTLS"),
        (b"220 go\r\n", b""),
    ],
    "imap": [(b"* OK ready\r\n", b"a1 STARTTLS"), (b"* note\r\na1 OK go\r\n", b"")],
    "postgres": [(b"", b"\x00\x00\x00\x08\x04\xd2\x16\x2f"), (b"S", b"")],
}


def dialogue(words: Words, context: ssl.SSLContext) -> odd.Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for say, awaited in words:
            writer.write(say)
            if awaited:
                assert awaited in await reader.read(1000)
        await writer.start_tls(context)
        await reader.read()

    return handle


@pytest.mark.parametrize("protocol", DIALOGUES)
async def test_starttls(look: Looker, authority: trustme.CA, ca_file: Path, protocol: str) -> None:
    handler = dialogue(DIALOGUES[protocol], served(authority.issue_cert("127.0.0.1")))
    async with odd.serving(handler) as server:
        seen = await look(host="127.0.0.1", port=server.port, ca_file=ca_file, starttls=protocol)
    assert (values(seen)["up"], values(seen)["chain_valid"], seen.note) == (1, 1, "")


async def test_starttls_of_a_mail_server(look: Looker, mail_server: MailServer, tmp_path: Path) -> None:
    seen = await look(host="localhost", port=mail_server.port, ca_file=mail_server.ca_file, starttls="smtp")
    assert (values(seen)["up"], values(seen)["chain_valid"], values(seen)["hostname_valid"]) == (1, 1, 1)
    stranger = await look(host="localhost", port=mail_server.port, starttls="smtp")
    assert (values(stranger)["up"], values(stranger)["chain_valid"]) == (1, 0)
    plain = MailServer(tmp_path, starttls=False).start()
    try:
        seen = await look(host="localhost", port=plain.port, starttls="smtp")
        assert values(seen) == {"up": 0}
        assert seen.note.startswith("SMTP: expected 220, the server said '454 TLS not available")
    finally:
        plain.stop()


async def test_a_database_with_tls(look: Looker, authority: trustme.CA, ca_file: Path) -> None:
    binaries = system_binaries()
    assert binaries is not None, "install Debian's postgresql package"
    server = PostgresServer(binaries=binaries)
    try:
        server.give_certificate(authority.issue_cert("127.0.0.1"))
        server.start()
        seen = await look(host="127.0.0.1", port=server.port, ca_file=ca_file, starttls="postgres")
        assert (values(seen)["up"], values(seen)["chain_valid"], values(seen)["hostname_valid"]) == (1, 1, 1)
        assert float(values(seen)["days_left"]) > 0
    finally:
        server.remove()


@pytest.mark.parametrize(
    ("protocol", "says", "note"),
    [
        ("smtp", b"554 go away\r\n", "SMTP: expected 220, the server said '554 go away'"),
        ("smtp", b"", "the server closed the connection"),
        ("imap", b"* OK hi\r\na1 NO\r\n", "IMAP: the server refused TLS: 'a1 NO'"),
        ("imap", b"x" * 200_000, "the server sent a line without an end"),
        ("postgres", b"N", "PostgreSQL: the server does not offer TLS"),
    ],
)
async def test_starttls_refused(look: Looker, protocol: str, says: bytes, note: str) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        await writer.drain()
        if says:
            await reader.read()

    async with odd.serving(handle) as server:
        seen = await look(host="127.0.0.1", port=server.port, starttls=protocol)
    assert (values(seen), seen.note) == ({"up": 0}, note)


async def test_a_database_without_tls(postgres: PostgresServer, look: Looker) -> None:
    seen = await look(host="127.0.0.1", port=postgres.port, starttls="postgres")
    assert seen.note == "PostgreSQL: the server does not offer TLS"


# -- files


async def test_a_file_with_key_and_chain(look: Looker, authority: trustme.CA, tmp_path: Path) -> None:
    leaf = authority.create_child_ca().issue_cert("db.example", not_after=datetime.now(UTC) + timedelta(days=20))
    leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "db.pem")
    seen = await look(file=str(tmp_path / "db.pem"), server_name="db.example")
    assert (values(seen)["up"], values(seen)["hostname_valid"], values(seen)["chain_length"]) == (1, 1, 2)
    assert float(values(seen)["days_left"]) == pytest.approx(20, abs=0.01)
    assert "PRIVATE" not in repr(seen)


async def test_several_files_are_series(look: Looker, authority: trustme.CA, tmp_path: Path) -> None:
    for name, days in (("a", 20), ("b", -2)):
        leaf = authority.issue_cert(name, not_after=datetime.now(UTC) + timedelta(days=days))
        leaf.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.crt")
    (tmp_path / "c.crt").write_text("nothing")
    seen = await look(file=f"{tmp_path}/*.crt")
    measured = values(seen)
    assert (measured["up{a.crt}"], measured["up{b.crt}"], measured["up{c.crt}"]) == (1, 1, 0)
    assert float(measured["days_left{b.crt}"]) == pytest.approx(-2, abs=0.01)
    assert "b.crt: expired 2d ago" in seen.note
    assert "c.crt holds no readable PEM certificate" in seen.note


async def test_no_file(look: Looker, tmp_path: Path) -> None:
    seen = await look(file=f"{tmp_path}/*.crt")
    assert (values(seen), seen.note) == ({"up": 0}, f"no file matches {tmp_path}/*.crt")


@pytest.mark.probe_failure("tls")
async def test_own_mistakes(look: Looker, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="ca_file"):
        await look(host="127.0.0.1", ca_file=tmp_path / "none.pem")
    for wrong in ({}, {"host": "a", "file": "b"}, {"host": "https://a/"}, {"host": "a", "port": 0}):
        with pytest.raises(ValidationError):
            TlsProbe.Params(**wrong)


def test_default_rows_do_not_ask_for_what_cannot_be_known() -> None:
    rows = {row.measure: row for row in TlsProbe.defaults}
    assert rows["chain_valid"].missing is rows["hostname_valid"].missing is Level.OK
