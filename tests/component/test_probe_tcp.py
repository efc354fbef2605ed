"""The tcp probe: ports that answer, that do not, and that answer something else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.tcp import TcpProbe
from tests.component.looking import Looker, evidence, looking, values
from tests.servers import odd
from tests.servers.nginx import NginxServer
from tests.servers.process import free_port


@pytest.fixture
async def look() -> AsyncIterator[Looker]:
    async with looking(PROBES["tcp"]) as looker:
        yield looker


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 ready\r\n")
    while data := await reader.read(1000):
        writer.write(b"you said " + data)


async def test_an_open_port(nginx: NginxServer, look: Looker) -> None:
    seen = await look(host="127.0.0.1", port=nginx.port)
    assert values(seen)["up"] == 1
    assert 0 < float(values(seen)["latency"]) < 5
    assert values(seen).keys() == {"up", "latency", "dns_time"}


async def test_a_name_with_several_addresses(nginx: NginxServer, look: Looker) -> None:
    # localhost may be ::1 first, where this port may be closed
    assert values(await look(host="localhost", port=nginx.tls_port))["up"] == 1


async def test_tls(nginx: NginxServer, look: Looker) -> None:
    seen = await look(host="localhost", port=nginx.tls_port, tls={"ca_file": nginx.ca_file})
    assert values(seen)["up"] == 1
    assert float(values(seen)["tls_days_left"]) > 300
    untrusted = await look(host="localhost", port=nginx.tls_port, tls=True)
    assert values(untrusted)["up"] == 0
    assert untrusted.note.startswith("TLS: certificate is not from a trusted issuer")
    plain = await look(host="127.0.0.1", port=nginx.port, tls=True)
    assert plain.note == "TLS: the server does not speak TLS on this port"


@pytest.mark.probe("tcp")
async def test_a_conversation(look: Looker) -> None:
    async with odd.serving(echo) as server:
        seen = await look(host="127.0.0.1", port=server.port, send="PING\r\n", expect=r"you said PING")
    assert (values(seen)["up"], values(seen)["matched"]) == (1, 1)
    assert float(values(seen)["response_time"]) > 0


async def test_another_answer(look: Looker) -> None:
    async with odd.serving(odd.says(b"")) as closing, odd.serving(echo) as server:
        look.timeout = timedelta(seconds=1)
        waited = await look(host="127.0.0.1", port=server.port, expect="^250", send="my-secret")
        shut = await look(host="127.0.0.1", port=closing.port, expect="x", send="\r\n\r\n")
    assert (values(waited)["up"], values(waited)["matched"]) == (0, 0)
    assert waited.note == "no answer within 1s (waiting for the expected answer)"
    assert evidence(waited, "heard").startswith("220 ready")
    assert "my-secret" not in repr(waited)
    assert shut.note == "the server closed the connection without a word"


async def test_an_endless_answer_is_bounded(look: Looker) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"\x00\xff" * 10_000)
            await writer.drain()

    async with odd.serving(endless) as server:
        seen = await look(host="127.0.0.1", port=server.port, expect="ready")
    assert seen.note == "the first 65536 bytes do not match 'ready'"


async def test_nobody_there(look: Looker) -> None:
    refused = await look(host="127.0.0.1", port=free_port(), expect="x")
    lost = await look(host="no-such-host.invalid", port=1)
    assert values(refused) == values(lost) == {"up": 0}
    assert refused.note == "connection refused"
    assert "no-such-host.invalid" in lost.note


async def test_silence_after_connecting_is_up_unless_words_are_expected(look: Looker) -> None:
    look.timeout = timedelta(seconds=1)
    async with odd.serving(odd.silent) as server:
        quiet = await look(host="127.0.0.1", port=server.port)
        handshake = await look(host="127.0.0.1", port=server.port, tls=True)
    assert values(quiet)["up"] == 1
    assert handshake.note == "no answer within 1s (TLS handshake)"


@pytest.mark.probe_failure("tcp")
async def test_own_mistakes(look: Looker, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="ca_file"):
        await look(host="127.0.0.1", port=1, tls={"ca_file": tmp_path / "none"})
    for wrong in (
        {"host": "a"},
        {"host": "", "port": 1},
        {"host": "http://a", "port": 1},
        {"host": "a", "port": 70000},
    ):
        with pytest.raises(ValidationError):
            TcpProbe.Params(**wrong)
    with pytest.raises(ValidationError, match="regular expression"):
        TcpProbe.Params(host="a", port=1, expect="(")
