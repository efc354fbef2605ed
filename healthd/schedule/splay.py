"""Spreading starts, so that checks do not begin in one burst. Deterministic: the same after every restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Interval checks whose phases fall into the same slot start together: one job each slot, not one each check.
SLOT = timedelta(milliseconds=100)
# Checks of one calendar firing start this far apart, closer when there are so many that it would exceed the window.
STEP = timedelta(milliseconds=100)
WINDOW = timedelta(seconds=10)


def _hash(check_id: str) -> int:
    return int.from_bytes(blake2b(check_id.encode(), digest_size=8).digest())


def phase(check_id: str, every: timedelta) -> timedelta:
    """Where in [0, every) this check's runs lie, a multiple of SLOT. Runs are due at EPOCH + k * every + phase."""
    slots = max(1, every // SLOT)
    return _hash(check_id) % slots * SLOT


def order(check_id: str) -> tuple[int, str]:
    """Sort key that mixes the checks of a firing, so that those of one technology are not neighbours."""
    return _hash(check_id), check_id


def step(count: int) -> timedelta:
    """The distance between the starts of `count` checks that are due at the same moment."""
    return min(STEP, WINDOW // max(count, 1))
