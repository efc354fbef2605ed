"""An event loop whose time passes as fast as there is nothing to do: a year in seconds.

with simulated(start) as run:
    run(main)          # main(clock) is a coroutine; clock() is the time of day, datetime.now() shows it too
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import time_machine

Clock = Callable[[], datetime]


class _Selector(selectors.DefaultSelector):  # type: ignore[valid-type,misc]
    """Waits for nothing: where a selector would sleep, it moves the clock."""

    def __init__(self, pass_time: Callable[[float], None]) -> None:
        super().__init__()
        self._pass_time = pass_time

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("the loop would wait for ever")
        if not ready and timeout and timeout > 0:
            self._pass_time(timeout)
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, start: datetime, traveller: time_machine.Coordinates) -> None:
        self._start, self._seconds, self._traveller = start, 0.0, traveller
        super().__init__(_Selector(self._pass))
        self._clock_resolution = 1e-6  # asyncio's nanosecond is lost in the seconds of half a year

    def _pass(self, seconds: float) -> None:
        self._seconds += seconds
        self._traveller.move_to(self.wall_clock(), tick=False)

    def time(self) -> float:
        return self._seconds

    def wall_clock(self) -> datetime:
        return self._start + timedelta(seconds=self._seconds)


@contextmanager
def simulated(start: datetime) -> Iterator[Callable[[Callable[[Clock], Awaitable[None]]], None]]:
    """Runs coroutines from `start` on."""
    with time_machine.travel(start, tick=False) as traveller:
        loop = _Loop(start, traveller)

        def run(main: Callable[[Clock], Awaitable[None]]) -> None:
            async def begin() -> None:
                await main(loop.wall_clock)

            loop.run_until_complete(begin())

        try:
            yield run
        finally:
            loop.close()
