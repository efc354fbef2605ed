"""The two tables beside the queues: which workers there are, and what they saw until the daemon has fetched it.

All times are the server's, so that nobody's clock has to be right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from healthd.workers.engine import Engine
from healthd.workers.terms import CHANNEL

_BEAT = """
INSERT INTO healthd_workers (id, location, capacity, seen, gone) VALUES (%s, %s, %s, clock_timestamp(), %s)
ON CONFLICT (id) DO UPDATE SET seen = excluded.seen, gone = excluded.gone
RETURNING extract(epoch FROM clock_timestamp())::float8
"""
_SHOWN = """
SELECT location,
  count(*) FILTER (WHERE NOT gone AND seen > clock_timestamp() - %(lease)s),
  coalesce(sum(capacity) FILTER (WHERE NOT gone AND seen > clock_timestamp() - %(lease)s), 0)::int,
  max(seen), extract(epoch FROM clock_timestamp() - max(seen))::float8
FROM healthd_workers GROUP BY location
"""
_CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"
_ANSWER = f"""
WITH saved AS (
  INSERT INTO healthd_answers (job_id, at, body) VALUES (%s, clock_timestamp(), %s)
  ON CONFLICT DO NOTHING RETURNING job_id
) SELECT pg_notify('{CHANNEL}', job_id::text) FROM saved
"""  # noqa: S608 - a constant
_TAKE = "DELETE FROM healthd_answers WHERE job_id = ANY(%s) RETURNING job_id, body"
_SWEEP_ANSWERS = "DELETE FROM healthd_answers WHERE at < clock_timestamp() - interval '10 minutes'"
_SWEEP_WORKERS = "DELETE FROM healthd_workers WHERE seen < clock_timestamp() - interval '30 days'"


@dataclass(frozen=True, slots=True)
class Presence:
    """The workers of one location: how many are alive, how many looks they make at once, when one last gave a sign of
    life, and how many seconds ago that was."""

    alive: int
    capacity: int
    seen: datetime
    age: float


class Board:
    """Everything raises StoreError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def beat(self, worker: str, location: str, capacity: int, *, gone: bool = False) -> float:
        """A worker is there, or says good-bye; the server's clock, in seconds since 1970."""
        rows = await self._engine.rows(_BEAT, (worker, location, capacity, gone))
        return float(rows[0][0])

    async def presences(self, lease: timedelta) -> dict[str, Presence]:
        """By location, of all workers that were ever heard of; silent for longer than `lease` they count as gone."""
        rows = await self._engine.rows(_SHOWN, {"lease": lease})
        return {location: Presence(*found) for location, *found in rows}

    async def clock(self) -> float:
        """The server's, in seconds since 1970."""
        return float((await self._engine.rows(_CLOCK))[0][0])

    async def answer(self, job: int, body: str) -> None:
        """Leave what was seen, and wake the daemon."""
        await self._engine.rows(_ANSWER, (job, body))

    async def take(self, jobs: Sequence[int]) -> dict[int, str]:
        """The answers to these jobs that are there. They are gone then."""
        return {job: body for job, body in await self._engine.rows(_TAKE, (list(jobs),))}  # noqa: C416 - of a list

    async def sweep(self) -> None:
        """Drop what nobody came for, and workers long gone."""
        await self._engine.rows(_SWEEP_ANSWERS)
        await self._engine.rows(_SWEEP_WORKERS)
