"""The wall clock as the schedule sees it: injectable, and watched for jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from healthd.schedule.splay import EPOCH

# What differs less is not a jump but the noise of reading two clocks, or a clock being slewed.
TOLERANCE = timedelta(milliseconds=500)


def to_system(at: datetime, now: Callable[[], datetime]) -> datetime:
    """When the system clock will show what `now` shows at `at`. APScheduler reads only the system clock."""
    skew = now() - datetime.now(UTC)
    return at - timedelta(milliseconds=round(skew / timedelta(milliseconds=1)))


class ClockWatch:
    """Compares the wall clock with the monotonic one every `every`, and calls `on_jump(seconds)` when they part.

    Positive when the wall clock was set forward or the machine was suspended, negative when it was set back.
    """

    def __init__(self, now: Callable[[], datetime], on_jump: Callable[[float], None], every: timedelta) -> None:
        self._now, self._on_jump, self._every = now, on_jump, every.total_seconds()
        self._timer: asyncio.TimerHandle | None = None
        self._offset = timedelta(0)

    def start(self) -> None:
        """Begin watching, from the clocks as they are now."""
        self._offset = self._difference()
        self._timer = asyncio.get_running_loop().call_later(self._every, self._compare)

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _difference(self) -> timedelta:
        monotonic = timedelta(seconds=asyncio.get_running_loop().time())
        return self._now() - EPOCH - monotonic

    def _compare(self) -> None:
        offset = self._difference()
        jump, self._offset = offset - self._offset, offset
        self._timer = asyncio.get_running_loop().call_later(self._every, self._compare)
        if abs(jump) >= TOLERANCE:
            self._on_jump(jump.total_seconds())
