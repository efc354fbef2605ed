"""How many keys there are of each kind, by pattern."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import MeasureInfo, Observation, ProbeContext
from healthd.probes.measured import measured
from healthd.probes.redis.client import Asker, look
from healthd.probes.redis.scan import ScanParams, Walk

__all__ = ["RedisKeysProbe"]

_KEPT = 100_000  # keys remembered, so that none is counted twice


def _by_series(value: Any) -> Any:
    if isinstance(value, str):
        return {"": value}
    return {pattern: pattern for pattern in value} if isinstance(value, list | tuple) else value


Patterns = Annotated[
    dict[str, str],
    BeforeValidator(_by_series, json_schema_input_type=str | list[str] | dict[str, str]),
    Field(min_length=1, max_length=50),
]


class KeysParams(ScanParams):
    """`patterns` as Redis matches them: one, a list, or `{series: pattern}`; each is a walk of its own.

    `ttl`: also count the keys that never expire.
    """

    patterns: Patterns
    ttl: bool = False


@dataclass(frozen=True, slots=True)
class _Count:
    keys: int
    without_ttl: int
    coverage: float
    complete: bool


class RedisKeysProbe:
    """Counts keys by SCAN."""

    Params: ClassVar[type[ScanParams]] = KeysParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "keys": MeasureInfo(Unit.COUNT, "keys that fit the pattern, among those looked at; one series per pattern"),
        "keys_estimate": MeasureInfo(Unit.COUNT, "the same for all keys, from the share looked at"),
        "without_ttl": MeasureInfo(Unit.COUNT, "those of `keys` that never expire; with `ttl`"),
        "coverage": MeasureInfo(Unit.RATIO, "share of the database that was looked at, of the least covered pattern"),
        "complete": MeasureInfo(Unit.COUNT, "1 when every key was looked at for every pattern, 0 when not"),
        "total": MeasureInfo(Unit.COUNT, "keys in the database"),
    }

    def measures_for(self, params: KeysParams) -> Mapping[str, MeasureInfo] | None:
        return {name: about for name, about in self.measures.items() if params.ttl or name != "without_ttl"}

    async def run(self, params: KeysParams, context: ProbeContext) -> Observation:
        async def ask(asker: Asker) -> tuple[int, dict[str, _Count]]:
            total, counts = int(await asker.ask("DBSIZE")), {}
            first = Walk.begin(params, context, "*")  # all share its time
            for series, pattern in params.patterns.items():
                counts[series] = await _count(asker, first.another(pattern), total, params.ttl)
            return total, counts

        total, counts = await look(context, params.url, ask)
        covered, complete = min(c.coverage for c in counts.values()), all(c.complete for c in counts.values())
        found = measured(self.measures, {"total": total, "coverage": covered, "complete": int(complete)})
        for series, count in counts.items():
            values = {"keys": count.keys, "keys_estimate": count.keys / count.coverage if count.coverage else None}
            values |= {"without_ttl": count.without_ttl} if params.ttl else {}
            found += measured(self.measures, values, series)
        note = "" if complete else f"looked at {covered:.0%} of {total} keys: the budget was spent"
        return Observation(found, note=note)


async def _count(asker: Asker, walk: Walk, total: int, ttl: bool) -> _Count:
    kept: set[str] = set()
    keys = without_ttl = 0
    while walk.goes_on:
        new = [key for key in await walk.batch(asker) if key not in kept]
        if len(kept) < _KEPT:
            kept.update(new)
        keys += len(new)
        if ttl and new:
            without_ttl += sum(reply == -1 for reply in await asker.ask_all([("PTTL", key) for key in new]))
    return _Count(keys, without_ttl, walk.coverage(total), walk.complete)
