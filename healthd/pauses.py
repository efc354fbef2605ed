"""Keeping the garbage collector from holding up every check at once.

A full collection looks at every object: with 10,000 checks that is most of a second in which nothing runs and every
latency measured is wrong. What is remembered of checks lives long and hangs together without cycles, so it is taken
out of the collector's sight every minute; a full collection happens only where a pause does not matter.
"""

from __future__ import annotations

import gc

YOUNG = 5_000  # allocations between collections of the youngest generation


def settle() -> None:
    """Collect everything once, at start or after a reload, and keep what is left out of sight."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)


def age() -> None:
    """Take what has survived since the last time out of sight. Costs next to nothing."""
    gc.freeze()
