"""Whatever a server sends, healthd reads only so much of it."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest

from healthd.model.outcomes import ProbeError
from tests.component.looking import Looker, values
from tests.servers.odd import serving
from tests.servers.redis import RedisServer

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(start: bytes, more: bytes, times: int) -> Handler:
    """PONG to the first command; to the next, `start` and then `more`, again and again."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"+PONG\r\n")
        await reader.read(1000)
        writer.write(start)
        for _ in range(times):
            writer.write(more)
            await writer.drain()
        await reader.read()

    return handle


@pytest.mark.probe_failure("redis_info")
@pytest.mark.parametrize(
    ("start", "more", "kind"),
    [
        (b"$500000000\r\n", b"x" * 1_000_000, "limit"),
        (b"*500000000\r\n", b"$-1\r\n" * 200_000, "limit"),
        (b"*1\r\n", b"*1\r\n" * 200_000, "protocol"),
        (b"+", b"x" * 1_000_000, "protocol"),
        (b"$-7\r\n", b"", "protocol"),
        (b"$many\r\n", b"", "protocol"),
    ],
)
async def test_a_reply_without_end(info: Looker, start: bytes, more: bytes, kind: str) -> None:
    async with serving(answering(start, more, 40)) as odd:
        tracemalloc.start()
        with pytest.raises(ProbeError) as caught:
            await info(url=f"redis://127.0.0.1:{odd.port}")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert caught.value.kind == kind
    assert peak < 60_000_000


@pytest.mark.probe_failure("redis_length")
async def test_after_a_reply_that_is_too_large_the_others_are_read_as_ever(own: RedisServer, length: Looker) -> None:
    with own.client() as client:
        client.xadd("stream", {"a": "1"})
        client.xgroup_create("stream", "workers", "0")
    long = "k" * 5_000_000  # the error reply repeats it
    with pytest.raises(ProbeError):
        await length(url=own.url, key="stream", group=long)
    assert values(await length(url=own.url, key="stream", group="workers"))["length"] == 1
