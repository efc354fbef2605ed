"""Blocking work that ends when nobody waits for it any longer, and is waited for until it has."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from healthd.probes.blocking import Stop

__all__ = ["StoppedError", "finish", "interruptible"]

T = TypeVar("T")
_STOPS_WITHIN = 10.0  # seconds


class StoppedError(Exception):
    """Work was broken off because its `stop` was set."""


async def interruptible(work: Callable[[Stop], T]) -> T:
    """The result of `work`, in a daemon thread. Cancelled, `stop` is set and its end waited for."""
    stop = Stop()
    future = _start(lambda: work(stop))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({future}, timeout=_STOPS_WITHIN)
        raise


async def finish(work: Callable[[], None]) -> None:
    """Do `work` in a daemon thread to its end, also when cancelled meanwhile; then the cancellation goes on."""
    future = _start(work)
    try:
        await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait({future}, timeout=_STOPS_WITHIN)
        raise


def _start(work: Callable[[], T]) -> asyncio.Future[T]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())  # somebody may have left

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 - handed to the waiter
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(_settle, future, result, error)

    threading.Thread(target=run, name="restore drill", daemon=True).start()
    return future


def _settle(future: asyncio.Future[T], result: T | None, error: BaseException | None) -> None:
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)  # type: ignore[arg-type]
