"""When which of many things is to be looked at again: asked every second, it costs nothing while nothing is due."""

from __future__ import annotations

import heapq
from datetime import datetime

SLACK = 1_000  # outdated entries beyond as many as there are things, before they are cleared away


class Agenda:
    """One moment for each name; putting a name again replaces its moment."""

    def __init__(self) -> None:
        self._moments: dict[str, datetime] = {}
        self._queue: list[tuple[datetime, str]] = []  # the next first; with entries that no longer hold

    def put(self, name: str, at: datetime) -> None:
        """`name` is due at `at`, and at no other time."""
        if self._moments.get(name) == at:
            return
        self._moments[name] = at
        heapq.heappush(self._queue, (at, name))
        if len(self._queue) > 2 * len(self._moments) + SLACK:
            self._queue = [(moment, known) for known, moment in self._moments.items()]
            heapq.heapify(self._queue)

    def drop(self, name: str) -> None:
        """`name` is not due any more."""
        self._moments.pop(name, None)

    def due(self, now: datetime, most: int) -> list[str]:
        """Up to `most` names due by `now`, the longest due first. They are off the agenda then."""
        found: list[str] = []
        while self._queue and self._queue[0][0] <= now and len(found) < most:
            at, name = heapq.heappop(self._queue)
            if self._moments.get(name) == at:
                del self._moments[name]
                found.append(name)
        return found

    def clear(self) -> None:
        """Nothing is due."""
        self._moments.clear()
        self._queue.clear()
