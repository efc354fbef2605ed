"""A few shared connections to one server: used again between checks, proved alive on use, replaced when broken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["BusyError", "Driver", "Lease", "Pool"]

C = TypeVar("C")
T = TypeVar("T")

# Connections per server address, at most: a monitor must not eat what it watches. Looks that connect anew have
# slots of their own, so that slow queries of other checks do not make a server look down.
SHARED = 2
FRESH = 2
IDLE = timedelta(seconds=90)  # an unused connection is given back to the server after this long


class BusyError(Exception):
    """No connection came free in time: other checks of ours hold them. Says nothing about the server."""


class Driver(Protocol[C]):
    """What the pool must know of one technology."""

    async def open(self) -> C:
        """Connect and log in. May be cancelled at any time without leaving anything behind."""

    async def begin(self, connection: C, seconds: float) -> None:
        """Ready the connection for one look of at most `seconds`. Its answer proves that the server is there."""

    async def end(self, connection: C) -> None:
        """Leave the connection as `begin` would find a new one."""

    def abort(self, connection: C, task: asyncio.Task[Any]) -> None:
        """Break off `task`, which waits on the connection, so that it ends now."""

    async def close(self, connection: C) -> None:
        """Hang up, without waiting for the server."""


@dataclass(frozen=True, slots=True)
class Lease(Generic[C]):
    """A connection for one look. `connect_time` in seconds, None when it was open already."""

    connection: C
    connect_time: float | None


class Pool(Generic[C]):
    """Connections to one server for all checks that name it."""

    def __init__(self, driver: Driver[C], *, idle: timedelta = IDLE) -> None:
        self._driver, self._keep = driver, idle.total_seconds()
        self._shared, self._fresh = asyncio.Semaphore(SHARED), asyncio.Semaphore(FRESH)
        self._idle: list[tuple[C, asyncio.TimerHandle]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    async def run(
        self, work: Callable[[Lease[C]], Coroutine[Any, Any, T]], seconds: float, *, fresh: bool = False
    ) -> T:
        """The result of `work` on a connection, within `seconds`. Raises BusyError or TimeoutError.

        `fresh` connects anew and closes at the end. A shared connection that has seen an error, a time-out or a
        cancellation is closed too, never used again.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        slots = self._fresh if fresh else self._shared
        try:
            async with asyncio.timeout_at(deadline):
                await slots.acquire()
        except TimeoutError:
            raise BusyError(
                f"the {FRESH if fresh else SHARED} connections for such checks are in use by others"
            ) from None
        try:
            lease = await self._lease(deadline, fresh)
            result = await self._guarded(lease.connection, lambda: self._complete(lease, work), deadline)
            await self._release(lease.connection, keep=not fresh)
        finally:
            slots.release()
        return result

    async def close(self) -> None:
        """Close the idle connections; those in use close when their look ends."""
        self._closed = True
        await self._drop_idle()
        await asyncio.gather(*self._closing)

    async def _complete(self, lease: Lease[C], work: Callable[[Lease[C]], Awaitable[T]]) -> T:
        result = await work(lease)
        await self._driver.end(lease.connection)
        return result

    async def _lease(self, deadline: float, fresh: bool) -> Lease[C]:
        if not fresh and self._idle and (connection := await self._revive(deadline)) is not None:
            return Lease(connection, None)
        started = time.perf_counter()
        async with asyncio.timeout_at(deadline):
            connection = await self._driver.open()
        connect_time = time.perf_counter() - started
        await self._guarded(connection, lambda: self._begin(connection, deadline), deadline)
        return Lease(connection, connect_time)

    async def _revive(self, deadline: float) -> C | None:
        """An idle connection that still answers. One that does not says nothing about the server: a firewall may
        have forgotten it, the server may have restarted. So it may only use up a third of the time left."""
        connection = self._take()
        now = asyncio.get_running_loop().time()
        try:
            await self._guarded(connection, lambda: self._begin(connection, deadline), now + (deadline - now) / 3)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, a new connection tells why
            await self._drop_idle()
            return None
        return connection

    def _begin(self, connection: C, deadline: float) -> Coroutine[Any, Any, None]:
        return self._driver.begin(connection, max(0.001, deadline - asyncio.get_running_loop().time()))

    async def _guarded(self, connection: C, work: Callable[[], Coroutine[Any, Any, T]], deadline: float) -> T:
        """`work` in a task that is broken off at the deadline or when we are cancelled; then the connection closes."""
        task = asyncio.ensure_future(work())
        try:
            await asyncio.wait({task}, timeout=deadline - asyncio.get_running_loop().time())
            if not task.done():
                raise TimeoutError
            return task.result()
        except BaseException:
            if not task.done():
                self._driver.abort(connection, task)
            self._hang_up(connection, task)
            raise

    def _hang_up(self, connection: C, task: asyncio.Task[Any] | None = None) -> None:
        async def finish() -> None:
            if task is not None:
                await asyncio.wait({task})
                _ = task.cancelled() or task.exception()  # looked at: nobody else will
            await self._driver.close(connection)

        closing = asyncio.ensure_future(finish())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _take(self) -> C:
        connection, timer = self._idle.pop()
        timer.cancel()
        return connection

    async def _release(self, connection: C, *, keep: bool) -> None:
        if self._closed or not keep:
            await self._driver.close(connection)
            return
        timer = asyncio.get_running_loop().call_later(self._keep, self._expire, connection)
        self._idle.append((connection, timer))

    def _expire(self, connection: C) -> None:
        self._idle = [entry for entry in self._idle if entry[0] is not connection]
        self._hang_up(connection)

    async def _drop_idle(self) -> None:
        while self._idle:
            await self._driver.close(self._take())
