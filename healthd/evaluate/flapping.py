"""Flapping: a check that changes its mind too often is one problem, not twenty."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from healthd.model.catalogue import Check
from healthd.model.outcomes import Level


def remember(check: Check, recent: tuple[Level, ...], level: Level) -> tuple[Level, ...]:
    """The last `window` levels, newest last."""
    return (*recent, level)[-check.flapping.window :]


def is_flapping(check: Check, recent: Sequence[Level], was: bool) -> bool:
    """Whether it flaps now. Starts at `start` changes within the window, ends at `stop`: between, it stays as it was.

    Checks that run by calendar alone never flap: their runs are days apart, each is worth telling.
    """
    if not check.flapping.enabled or check.interval is None:
        return False
    changes = sum(a is not b for a, b in pairwise(recent))
    return changes > check.flapping.stop if was else changes >= check.flapping.start
