"""How long to wait between attempts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random


@dataclass(frozen=True, slots=True)
class Policy:
    """The outbox's patience.

    `first` doubles with every attempt up to `longest`; `permanent` is for answers that more attempts alone will not
    change. Each pause varies by `spread` to both sides, so that messages held up together do not return together.
    """

    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(minutes=5)
    permanent: timedelta = timedelta(minutes=15)
    spread: float = 0.2
    parallel: int = 4  # sends at once of one channel
    poll: timedelta = timedelta(seconds=30)  # look even if nobody wakes: another process may have written
    unconfigured_max_age: timedelta = timedelta(hours=24)  # of messages to a channel this process never knew

    def pause(self, attempts: int, rng: Random, *, permanent: bool = False) -> timedelta:
        """The pause after attempt number `attempts` (from 1) failed."""
        base = self.permanent if permanent else min(self.first * 2 ** min(attempts - 1, 30), self.longest)
        return base * rng.uniform(1 - self.spread, 1 + self.spread)

    def after(self, seconds: float, rng: Random) -> timedelta:
        """The pause a receiver asked for: never shorter, a little longer."""
        return timedelta(seconds=seconds) + self.first * self.spread * rng.random()
