"""How many runs at once, per probe type."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType


class _Slots:
    """A counted semaphore, to be entered with `async with`. First come, first served."""

    __slots__ = ("_semaphore", "running", "waiting")

    def __init__(self, limit: int) -> None:
        self._semaphore = asyncio.Semaphore(limit)
        self.running = 0
        self.waiting = 0

    async def __aenter__(self) -> None:
        if self._semaphore.locked():
            self.waiting += 1
            try:
                await self._semaphore.acquire()
            finally:
                self.waiting -= 1
        else:
            await self._semaphore.acquire()  # returns without a task switch
        self.running += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.running -= 1
        self._semaphore.release()


class Limits:
    """Separate limits per probe type, so that one hung technology never holds up another.

    `default` applies to each type that `per_type` does not name (each has its own count, not a shared one). Within a
    type, looks that are expected to hang share half of the slots: however many targets do not answer, those that do
    are looked at.
    """

    def __init__(self, default: int, per_type: Mapping[str, int] | None = None) -> None:
        for name, limit in {"default": default, **(per_type or {})}.items():
            if limit < 1:
                raise ValueError(f"the limit of {name} is {limit}: at least 1 run must be allowed")
        self._default = default
        self._per_type = dict(per_type or {})
        self._slots: dict[str, _Slots] = {}
        self._slow: dict[str, asyncio.Semaphore] = {}

    def slot(self, probe_type: str, *, slow: bool = False) -> AbstractAsyncContextManager[None]:
        """`async with limits.slot("http"):` holds one of the type's slots, waiting for it if all are taken. `slow`:
        this look is expected to hang, for it did the last time."""
        return self._slow_slot(probe_type) if slow else self._of(probe_type)

    def running(self, probe_type: str) -> int:
        """Slots of that type held now."""
        return self._of(probe_type).running

    def waiting(self, probe_type: str) -> int:
        """Runs of that type waiting for a slot now."""
        return self._of(probe_type).waiting

    @asynccontextmanager
    async def _slow_slot(self, probe_type: str) -> AsyncIterator[None]:
        """Who waits for one of the slow ones holds no slot meanwhile."""
        slots = self._of(probe_type)
        if probe_type not in self._slow:
            self._slow[probe_type] = asyncio.Semaphore(max(1, self._limit(probe_type) // 2))
        share = self._slow[probe_type]
        slots.waiting += 1
        try:
            await share.acquire()
        finally:
            slots.waiting -= 1
        try:
            async with slots:
                yield
        finally:
            share.release()

    def _limit(self, probe_type: str) -> int:
        return self._per_type.get(probe_type, self._default)

    def _of(self, probe_type: str) -> _Slots:
        slots = self._slots.get(probe_type)
        if slots is None:
            slots = self._slots[probe_type] = _Slots(self._limit(probe_type))
        return slots
