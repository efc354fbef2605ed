"""Keeping the garbage collector from holding up every check at once.

A full collection looks at every object: with 10,000 checks that is most of a second in which nothing runs and every
latency measured is wrong. What is remembered of checks lives long and hangs together without cycles, so it is taken
out of the collector's sight every now and then, and a full collection happens where a pause does not matter.

Whatever else was in use at such a moment goes out of sight with it. If it hangs together in a circle, as a failed
request and its traceback do, it stays in memory until the next full collection. So there is one too when what is out
of sight has grown by more than checks can explain.
"""

from __future__ import annotations

import gc

YOUNG = 5_000  # allocations between collections of the youngest generation
# By how much what is out of sight may grow: a share of what it was after the last full collection, and some objects.
SHARE, SOME = 0.25, 50_000


class Pauses:
    """Of one process. `settle` before `age`."""

    def __init__(self, some: int = SOME) -> None:
        self._some = some
        self._limit = 0.0

    def settle(self) -> None:
        """Collect everything once, at start or after a reload, and keep what is left out of sight."""
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG, 20, 20)
        self._limit = gc.get_freeze_count() * (1 + SHARE) + self._some

    def age(self) -> None:
        """Take what has survived since the last time out of sight. Costs next to nothing, most of the time."""
        gc.freeze()
        if gc.get_freeze_count() > self._limit:
            self.settle()
