"""How long Redis takes to answer, measured many times in a row."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import Duration, MeasureInfo, Observation, Params, ProbeContext
from healthd.probes.measured import measured
from healthd.probes.network import patience
from healthd.probes.redis.address import RedisUrl
from healthd.probes.redis.client import Asker, look

__all__ = ["RedisLatencyProbe"]

_OF_PATIENCE = 0.7  # of the check's time, at most, goes into pings


class LatencyParams(Params):
    """`pings` one after the other, within `budget`."""

    url: RedisUrl
    pings: int = Field(100, ge=1, le=2000)
    budget: Duration = timedelta(seconds=2)


class RedisLatencyProbe:
    """Sends PING again and again over one connection."""

    Params: ClassVar[type[Params]] = LatencyParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "p50": MeasureInfo(Unit.SECONDS, "half of the round trips took at most this long"),
        "p95": MeasureInfo(Unit.SECONDS, "95 of 100 did"),
        "p99": MeasureInfo(Unit.SECONDS, "99 of 100 did"),
        "min": MeasureInfo(Unit.SECONDS, "the fastest"),
        "mean": MeasureInfo(Unit.SECONDS, "the mean"),
        "max": MeasureInfo(Unit.SECONDS, "the slowest"),
        "pings": MeasureInfo(Unit.COUNT, "round trips made; fewer than asked for when the budget was spent"),
    }

    def measures_for(self, params: LatencyParams) -> Mapping[str, MeasureInfo] | None:
        return self.measures

    async def run(self, params: LatencyParams, context: ProbeContext) -> Observation:
        budget = min(params.budget.total_seconds(), patience(context.timeout) * _OF_PATIENCE)

        async def ask(asker: Asker) -> list[float]:
            return await _ping(asker, params.pings, budget)

        took = sorted(await look(context, params.url, ask))
        values = {
            "p50": _percentile(took, 0.5),
            "p95": _percentile(took, 0.95),
            "p99": _percentile(took, 0.99),
            "min": took[0],
            "mean": sum(took) / len(took),
            "max": took[-1],
            "pings": len(took),
        }
        short = len(took) < params.pings
        note = f"only {len(took)} of {params.pings} pings: the time for them was over" if short else ""
        return Observation(measured(self.measures, values), note=note)


async def _ping(asker: Asker, pings: int, budget: float) -> list[float]:
    started = time.perf_counter()
    took: list[float] = []
    while len(took) < pings and (not took or time.perf_counter() - started < budget):
        sent = time.perf_counter()
        await asker.ask("PING")
        took.append(time.perf_counter() - sent)
    return took


def _percentile(ordered: list[float], fraction: float) -> float:
    """The nearest rank: the smallest value that this share of them does not exceed."""
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]
