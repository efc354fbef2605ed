"""Calls that may block for ever (a file system that does not answer), kept off the event loop.

Each call has a daemon thread of its own: a pool would fill up with hung ones, and would be waited for at exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from healthd.probes.base import ProbeContext

__all__ = ["BlockingCalls", "Stop", "blocking_calls"]

T = TypeVar("T")
Stop = threading.Event


class BlockingCalls:
    """Runs blocking functions in threads. A subject that hung before is not asked again until it has answered."""

    def __init__(self) -> None:
        self._hung: dict[str, int] = {}
        self._lock = threading.Lock()

    async def call(self, subject: str, function: Callable[[Stop], T], timeout: float) -> T:
        """The function's result. `subject` names what may hang (a mount); `timeout` is in seconds.

        The function is given an event that is set when nobody waits for it any longer: it should look at it often.
        Raises TimeoutError when it did not answer in time, at once while an earlier call on the subject hangs.
        """
        if self._hung.get(subject):
            raise TimeoutError(subject)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        stop, done = Stop(), threading.Event()

        def work() -> None:
            result: T | None = None
            error: BaseException | None = None
            try:
                result = function(stop)
            except BaseException as raised:  # noqa: BLE001 - handed to the waiter
                error = raised
            self._finish(subject, done, stop)
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(_settle, future, result, error)

        threading.Thread(target=work, name=f"blocking {subject}", daemon=True).start()
        try:
            return await asyncio.wait_for(future, timeout)
        finally:
            self._leave(subject, done, stop)

    def _leave(self, subject: str, done: threading.Event, stop: Stop) -> None:
        with self._lock:
            if not done.is_set():
                stop.set()
                self._hung[subject] = self._hung.get(subject, 0) + 1

    def _finish(self, subject: str, done: threading.Event, stop: Stop) -> None:
        with self._lock:
            done.set()
            if stop.is_set():
                self._hung[subject] -= 1
                if not self._hung[subject]:
                    del self._hung[subject]


def _settle(future: asyncio.Future[T], result: T | None, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)  # type: ignore[arg-type]


async def blocking_calls(context: ProbeContext) -> BlockingCalls:
    """The one shared between all checks, so that they all know what hangs."""

    async def make() -> BlockingCalls:
        return BlockingCalls()

    return await context.resources.get(BlockingCalls, make)
