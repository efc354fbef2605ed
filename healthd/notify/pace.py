"""Keeping to a rate: at most so many messages in each stretch of time."""

from __future__ import annotations

from collections import deque

from healthd.notify.options import Rate


class Pace:
    """Counts what was sent in the last stretch. Times are the event loop's, in seconds."""

    def __init__(self, rate: Rate | None) -> None:
        self._rate = rate
        self._sent: deque[float] = deque()

    def room(self, clock: float) -> int:
        """How many may be sent now."""
        if self._rate is None:
            return 1_000_000
        while self._sent and self._sent[0] <= clock - self._rate.per.total_seconds():
            self._sent.popleft()
        return self._rate.count - len(self._sent)

    def wait(self, clock: float) -> float:
        """Seconds until another one may be sent; 0 for now."""
        if self._rate is None or self.room(clock) > 0:
            return 0.0
        return self._sent[0] + self._rate.per.total_seconds() - clock

    def count(self, clock: float) -> None:
        """One is being sent."""
        if self._rate is not None:
            self._sent.append(clock)
