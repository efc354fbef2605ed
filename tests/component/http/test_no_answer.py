"""The probe http: servers that do not answer, or without end."""

from __future__ import annotations

import asyncio
import resource
from dataclasses import replace
from datetime import timedelta

import pytest

from healthd.model.outcomes import ProbeError
from healthd.probes.base import ProbeLimits
from tests.component.looking import Looker, values
from tests.servers import odd
from tests.servers.nginx import NginxServer
from tests.servers.process import free_port


async def test_refused(look: Looker) -> None:
    seen = await look(url=f"http://127.0.0.1:{free_port()}/")
    assert (values(seen), seen.note) == ({"up": 0}, "connection refused")


async def test_no_such_host(look: Looker) -> None:
    seen = await look(url="http://no-such-host.invalid/")
    assert values(seen) == {"up": 0}
    assert "no-such-host.invalid" in seen.note


async def test_silence_is_named_with_the_phase(look: Looker) -> None:
    look.timeout = timedelta(seconds=1)
    async with odd.serving(odd.silent) as server:
        seen = await look(url=server.url)
        tls = await look(url=server.url.replace("http", "https"))
    assert (values(seen), seen.note) == ({"up": 0}, "no answer within 1s (waiting for the response)")
    assert tls.note == "no answer within 1s (TLS handshake)"


async def test_a_drip_is_bounded_by_the_timeout(look: Looker) -> None:
    look.timeout = timedelta(seconds=1)
    drip = odd.says(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b"x"] * 1000, pause=0.02)
    async with odd.serving(drip) as server:
        seen = await look(url=server.url)
    assert seen.note == "no answer within 1s (reading the body)"


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", 'not HTTP: bad status line "SSH-2.0-OpenSSH_9.2"'),
        (b"\x00\x01\x02\x03" * 50, "not HTTP: bad status line"),
        (b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n", 'not HTTP: invalid header token "broken header"'),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", "not HTTP: a header line is longer than 65536"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", "connection closed by the server in the middle of"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "the body cannot be"),
        (b"", "connection closed by the server before any answer"),
    ],
    ids=["ssh", "binary", "header", "long header", "short body", "chunks", "gzip", "nothing"],
)
async def test_garbage(look: Looker, data: bytes, note: str) -> None:
    async with odd.serving(odd.says(data)) as server:
        seen = await look(url=server.url)
    assert values(seen)["up"] == 0
    assert seen.note.startswith(note)


async def test_reset(look: Looker) -> None:
    async with odd.serving(odd.resets) as server:
        seen = await look(url=server.url)
    assert values(seen)["up"] == 0
    assert seen.note.startswith("connection ")


async def test_cancelling_leaves_nothing_behind(look: Looker) -> None:
    asked = asyncio.Event()
    gone = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        gone.set()

    async with odd.serving(handler) as server:
        run = asyncio.create_task(look(url=server.url))
        await asked.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await asyncio.wait_for(gone.wait(), 5)


@pytest.mark.probe_failure("http")
async def test_running_out_of_files_says_nothing_about_the_server(nginx: NginxServer, look: Looker) -> None:
    await look(url=nginx.url)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(ProbeError, match="too many open files") as failure:
            await look(url=nginx.url)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert failure.value.kind == "limit"


@pytest.mark.probe("http")
async def test_a_big_body_is_read_to_the_limit(nginx: NginxServer, look: Looker) -> None:
    look.limits = replace(ProbeLimits(), max_body_bytes=100_000)
    seen = await look(url=f"{nginx.url}/big")
    assert (values(seen)["up"], values(seen)["body_size"]) == (1, 100_000)
    cut = await look(url=f"{nginx.url}/big", extract={"a": "$.a"})
    assert (values(cut)["up"], cut.note) == (0, "the body is longer than 100kB: its JSON was cut and cannot be read")
    unmatched = await look(url=f"{nginx.url}/big", body_pattern="x")
    assert unmatched.note == "the body does not match 'x' within its first 100kB"


async def test_an_endless_body_ends(look: Looker) -> None:
    async with odd.serving(odd.endless) as server:
        seen = await look(url=server.url)
    assert (values(seen)["up"], values(seen)["body_size"]) == (1, 1_000_000)


async def test_compressed_bodies_are_measured_uncompressed(nginx: NginxServer, look: Looker) -> None:
    look.limits = replace(ProbeLimits(), max_body_bytes=5_000_000)
    assert values(await look(url=f"{nginx.url}/gzip"))["body_size"] == 3_000_000


async def test_a_bomb_stops_at_the_limit(look: Looker) -> None:
    async with odd.serving(odd.answers(odd.bomb(100), "Content-Encoding: gzip")) as server:
        seen = await look(url=server.url)
    assert (values(seen)["up"], values(seen)["body_size"]) == (1, 1_000_000)
