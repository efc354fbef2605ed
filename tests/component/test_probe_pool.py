"""The pool of connections behind the database probes, over real sockets to a server that echoes lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from healthd.probes.pool import FRESH, SHARED, BusyError, Lease, Pool
from tests.servers import odd

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Lines:
    """Connections on which a line is answered by the same line."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.opened = self.closed = 0

    async def open(self) -> Line:
        connection = await asyncio.open_connection("127.0.0.1", self.port)
        self.opened += 1
        return connection

    async def begin(self, connection: Line, seconds: float) -> None:
        await say(connection, b"begin\n")

    async def end(self, connection: Line) -> None:
        await say(connection, b"end\n")

    def abort(self, connection: Line, task: asyncio.Task[Any]) -> None:
        task.cancel()

    async def close(self, connection: Line) -> None:
        connection[1].transport.abort()
        self.closed += 1


async def say(connection: Line, line: bytes) -> None:
    connection[1].write(line)
    if await connection[0].readline() != line:
        raise ConnectionError("closed")


@pytest.fixture
async def lines() -> AsyncIterator[Lines]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)

    async with odd.serving(echo) as server:
        yield Lines(server.port)


async def hello(lease: Lease[Line]) -> str:
    await say(lease.connection, b"hello\n")
    return "new" if lease.connect_time is not None else "again"


async def test_a_connection_is_used_again(lines: Lines) -> None:
    pool = Pool(lines)
    assert [await pool.run(hello, 5) for _ in range(3)] == ["new", "again", "again"]
    await pool.close()
    assert (lines.opened, lines.closed) == (1, 1)


async def test_a_fresh_look_leaves_nothing(lines: Lines) -> None:
    pool = Pool(lines)
    assert [await pool.run(hello, 5, fresh=True) for _ in range(3)] == ["new", "new", "new"]
    assert (lines.opened, lines.closed) == (3, 3)


async def test_never_more_than_its_share(lines: Lines) -> None:
    pool = Pool(lines)
    await asyncio.gather(*(pool.run(hello, 5, fresh=number % 2 == 0) for number in range(40)))
    open_at_most = SHARED + FRESH
    assert lines.opened - lines.closed <= open_at_most
    await pool.close()
    assert lines.opened == lines.closed


async def test_an_unused_connection_is_given_back(lines: Lines) -> None:
    pool = Pool(lines, idle=timedelta(milliseconds=20))
    await pool.run(hello, 5)
    while not lines.closed:  # the test's own time limit ends it
        await asyncio.sleep(0.01)
    assert await pool.run(hello, 5) == "new"
    await pool.close()


async def test_a_connection_that_saw_an_error_is_not_used_again(lines: Lines) -> None:
    async def fail(lease: Lease[Line]) -> None:
        raise ValueError("wrong")

    pool = Pool(lines)
    with pytest.raises(ValueError, match="wrong"):
        await pool.run(fail, 5)
    assert await pool.run(hello, 5) == "new"
    await pool.close()
    assert lines.opened == lines.closed == 2


async def test_who_waits_for_others_is_told_so(lines: Lines) -> None:
    all_hold, release = asyncio.Barrier(SHARED + 1), asyncio.Event()

    async def hold(lease: Lease[Line]) -> None:
        await all_hold.wait()
        await release.wait()

    pool = Pool(lines)
    holders = [asyncio.create_task(pool.run(hold, 5)) for _ in range(SHARED)]
    await all_hold.wait()
    with pytest.raises(BusyError):
        await pool.run(hello, 0.05)
    assert await pool.run(hello, 5, fresh=True) == "new"
    release.set()
    await asyncio.gather(*holders)
    assert await pool.run(hello, 5) == "again"
    await pool.close()
    assert lines.opened == lines.closed


async def test_closed_while_a_look_is_under_way(lines: Lines) -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def hold(lease: Lease[Line]) -> str:
        started.set()
        await release.wait()
        return "done"

    pool = Pool(lines)
    holder = asyncio.create_task(pool.run(hold, 5))
    await started.wait()
    await pool.close()
    release.set()
    assert await holder == "done"
    assert lines.opened == lines.closed == 1


async def test_a_look_that_takes_too_long_is_ended(lines: Lines) -> None:
    pool = Pool(lines)
    with pytest.raises(TimeoutError):
        await pool.run(lambda lease: say((lease.connection[0], lease.connection[1]), b"no end of line"), 0.05)
    await pool.close()
    assert lines.opened == lines.closed == 1
