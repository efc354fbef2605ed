"""One location as the daemon knows it: its workers, and whose turn it is there."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeAlias

from healthd.model.outcomes import ProbeError
from healthd.workers.board import Presence

Turn: TypeAlias = "asyncio.Future[None]"


class Place:
    """As many looks are handed over as the workers make at once, and a few more; the others wait here, not in a queue
    that a worker would have to work off. Looks that are expected to hang share half of the turns."""

    def __init__(self, name: str, now: float) -> None:
        """`now` is the loop's clock: from then on a worker is waited for."""
        self.name = name
        self.alive = 0
        self.seen: datetime | None = None
        self.under_way = 0
        self._hanging = 0
        self._capacity = 0
        self._heard = now
        self._waiting: tuple[deque[Turn], deque[Turn]] = (deque(), deque())  # those that hang are the second

    @property
    def waiting(self) -> int:
        """Looks that no worker has been asked for yet."""
        return sum(map(len, self._waiting))

    def hear(self, presence: Presence | None, now: float) -> None:
        """How its workers stand."""
        if presence is not None:
            self.alive, self._capacity, self.seen = presence.alive, presence.capacity, presence.seen
            self._heard = max(self._heard, now - presence.age)
        self._pump()

    def silence(self, now: float) -> float:
        """Seconds since a worker gave a sign of life, or since one was first waited for."""
        return now - self._heard

    def give_up(self, error: ProbeError) -> None:
        """Nobody is waited for any more."""
        for queue in self._waiting:
            while queue:
                if not (turn := queue.popleft()).done():
                    turn.set_exception(ProbeError(error.reason, error.kind))

    @asynccontextmanager
    async def turn(self, *, hangs: bool) -> AsyncIterator[None]:
        """Wait for a turn and hold it. Raises ProbeError when that is given up."""
        mine: Turn = asyncio.get_running_loop().create_future()
        self._waiting[hangs].append(mine)
        self._pump()
        try:
            await mine
        except BaseException:
            if mine.done() and not mine.cancelled() and mine.exception() is None:
                self._release(hangs)  # cancelled in the instant it was its turn
            raise
        try:
            yield
        finally:
            self._release(hangs)

    def _release(self, hangs: bool) -> None:
        self.under_way -= 1
        self._hanging -= hangs
        self._pump()

    def _pump(self) -> None:
        limit = self._capacity + (self._capacity + 3) // 4
        swift, slow = self._waiting
        while self.under_way < limit:
            if slow and self._hanging < max(1, limit // 2):
                turn, hangs = slow.popleft(), True
            elif swift:
                turn, hangs = swift.popleft(), False
            else:
                return
            if turn.done():  # cancelled meanwhile
                continue
            self.under_way += 1
            self._hanging += hangs
            turn.set_result(None)
