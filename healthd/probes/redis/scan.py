"""Walking through keys with SCAN, within a budget of time and keys. Never KEYS, which would stop the server."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from healthd.probes.base import Duration, Params, ProbeContext
from healthd.probes.network import patience
from healthd.probes.redis.address import RedisUrl
from healthd.probes.redis.client import Asker

__all__ = ["ScanParams", "Walk"]

_OF_PATIENCE = 0.7  # of the check's time, at most, goes into the walk
_STEP = 500  # keys the server looks at for one reply


class ScanParams(Params):
    """`budget` and `max_keys` bound one look, whichever is reached first."""

    url: RedisUrl
    budget: Duration = timedelta(seconds=2)
    max_keys: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000


@dataclass(slots=True)
class Walk:
    """A walk over one database's keys that fit a pattern: `while walk.goes_on: keys = await walk.batch(asker)`.

    Some keys may come twice, as SCAN does while the server grows its table. `visited` counts what the server looked
    at, `complete` says that it was all.
    """

    pattern: str
    deadline: float
    max_keys: int
    visited: int = 0
    complete: bool = False
    _cursor: str = "0"

    @classmethod
    def begin(cls, params: ScanParams, context: ProbeContext, pattern: str) -> Walk:
        """A walk whose time runs from now."""
        seconds = min(params.budget.total_seconds(), patience(context.timeout) * _OF_PATIENCE)
        return cls(pattern, time.monotonic() + seconds, params.max_keys)

    def another(self, pattern: str) -> Walk:
        """A walk of its own for another pattern, with the time that is left."""
        return Walk(pattern, self.deadline, self.max_keys)

    @property
    def goes_on(self) -> bool:
        """Whether there is more to look at, and time for it. There always is for a first batch."""
        within = self.visited < self.max_keys and time.monotonic() < self.deadline
        return not self.complete and (self.visited == 0 or within)

    async def batch(self, asker: Asker) -> list[str]:
        """The next keys that fit; mostly none where few do."""
        step = min(_STEP, self.max_keys)
        self._cursor, keys = await asker.ask("SCAN", self._cursor, "MATCH", self.pattern, "COUNT", str(step))
        self.visited += step
        self.complete = self._cursor == "0"
        return list(dict.fromkeys(keys))

    def coverage(self, there: int) -> float:
        """The share of the database's `there` keys that was looked at."""
        return 1.0 if self.complete or not there else min(1.0, self.visited / there)
