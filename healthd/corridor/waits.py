"""Levels that wait to count: each gets a run when it would, and counts shortly after whatever that run does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

# Time a pending level's confirmation run gets before the level counts without it.
CONFIRMATION = 0.4


class Waits:
    """One timer for each check with a pending level. `count(check_id)` is called when it would count."""

    def __init__(self, count: Callable[[str], None]) -> None:
        self._count = count
        self._timers: dict[str, tuple[datetime, asyncio.TimerHandle]] = {}

    def arm(self, check_id: str, until: datetime | None, now: datetime) -> bool:
        """A level counts at `until`, or none does. True when that is news, and a run has to confirm it."""
        armed = self._timers.get(check_id)
        if armed is not None and armed[0] == until:
            return False
        self.disarm(check_id)
        if until is None:
            return False
        delay = (until - now).total_seconds() + CONFIRMATION
        self._count_in(check_id, until, max(delay, 0.0))
        return True

    def disarm(self, check_id: str) -> None:
        """Nothing waits any more."""
        armed = self._timers.pop(check_id, None)
        if armed is not None:
            armed[1].cancel()

    def close(self) -> None:
        """Nothing counts any more."""
        for check_id in list(self._timers):
            self.disarm(check_id)

    def _count_in(self, check_id: str, moment: datetime, delay: float) -> None:
        loop = asyncio.get_running_loop()
        planned = loop.time() + delay

        def count() -> None:
            if loop.time() > planned + CONFIRMATION:  # this process was held up: the confirming run has only just begun
                self._count_in(check_id, moment, CONFIRMATION)
            else:
                self._count(check_id)

        self._timers[check_id] = (moment, loop.call_later(delay, count))
