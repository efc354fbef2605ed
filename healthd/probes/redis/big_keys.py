"""The keys that take most memory or hold most elements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit, UnitError, format_value, parse_quantity
from healthd.probes.base import Duration, Evidence, MeasureInfo, Observation, ProbeContext
from healthd.probes.measured import measured
from healthd.probes.redis.client import Asker, checked, look
from healthd.probes.redis.length import LENGTH_COMMANDS
from healthd.probes.redis.scan import ScanParams, Walk
from healthd.probes.redis.shown import shown_key

__all__ = ["RedisBigKeysProbe"]

_BATCH = 100  # keys asked about at once


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    quantity = parse_quantity(value)
    if quantity.unit not in (None, Unit.BYTES):
        raise UnitError(f"{value!r} is not a size: expected something like 500kB or 10MB")
    return quantity.value


Size = Annotated[float, BeforeValidator(_bytes, json_schema_input_type=str | float), Field(gt=0)]


class BigKeysParams(ScanParams):
    """`big` and `long`: from when on a key is one of the `big_keys` or `long_keys`. `samples`: as for MEMORY USAGE."""

    pattern: str = "*"
    big: Size = 1_000_000.0
    long: int = Field(100_000, ge=1)
    samples: int = Field(5, ge=0, le=100)
    show: int = Field(10, ge=0, le=50)
    max_keys: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    budget: Duration = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class _Key:
    name: str
    kind: str
    bytes: float
    length: int | None

    def words(self) -> str:
        held = "" if self.length is None else f", {self.length} elements"
        return f"{format_value(self.bytes, Unit.BYTES):>9}  {self.kind}{held}  {shown_key(self.name)}"


class RedisBigKeysProbe:
    """Walks by SCAN, asking each key's type, memory and length."""

    Params: ClassVar[type[ScanParams]] = BigKeysParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "largest_bytes": MeasureInfo(Unit.BYTES, "memory of the largest key; 0 without a key"),
        "longest": MeasureInfo(
            Unit.COUNT, "elements of the longest list, set, sorted set, hash or stream; 0 without one"
        ),
        "big_keys": MeasureInfo(Unit.COUNT, "keys of at least `big`"),
        "long_keys": MeasureInfo(Unit.COUNT, "keys of at least `long` elements"),
        "scanned": MeasureInfo(Unit.COUNT, "keys that were measured"),
        "scanned_bytes": MeasureInfo(Unit.BYTES, "their memory together"),
        "coverage": MeasureInfo(Unit.RATIO, "share of the database that was looked at"),
        "complete": MeasureInfo(Unit.COUNT, "1 when every key was looked at, 0 when not"),
    }

    def measures_for(self, params: BigKeysParams) -> Mapping[str, MeasureInfo] | None:
        return self.measures

    async def run(self, params: BigKeysParams, context: ProbeContext) -> Observation:
        tally = _Tally(params)

        async def ask(asker: Asker) -> tuple[int, Walk]:
            total, walk = int(await asker.ask("DBSIZE")), Walk.begin(params, context, params.pattern)
            while walk.goes_on:
                batch = await walk.batch(asker)
                for start in range(0, len(batch), _BATCH):
                    tally.add(await _measure(asker, batch[start : start + _BATCH], params.samples))
            return total, walk

        total, walk = await look(context, params.url, ask)
        covered = walk.coverage(total)
        found = measured(self.measures, {**tally.values(), "coverage": covered, "complete": int(walk.complete)})
        note = "" if walk.complete else f"looked at {covered:.0%} of {total} keys: the budget was spent"
        return Observation(found, tuple(tally.evidence(context.limits.max_evidence_chars)), note)


class _Tally:
    """What is kept of the keys seen: sums, and the few largest."""

    def __init__(self, params: BigKeysParams) -> None:
        self._params = params
        self._largest: list[_Key] = []
        self._longest = self._big = self._long = self._scanned = 0
        self._bytes = 0.0

    def add(self, keys: list[_Key]) -> None:
        self._scanned += len(keys)
        self._bytes += sum(key.bytes for key in keys)
        self._big += sum(key.bytes >= self._params.big for key in keys)
        self._long += sum((key.length or 0) >= self._params.long for key in keys)
        self._longest = max([self._longest, *(key.length or 0 for key in keys)])
        largest = {key.name: key for key in (*self._largest, *keys)}.values()
        self._largest = sorted(largest, key=lambda key: -key.bytes)[: max(1, self._params.show)]

    def values(self) -> dict[str, float]:
        return {
            "largest_bytes": self._largest[0].bytes if self._largest else 0.0,
            "longest": self._longest,
            "big_keys": self._big,
            "long_keys": self._long,
            "scanned": self._scanned,
            "scanned_bytes": self._bytes,
        }

    def evidence(self, limit: int) -> Iterable[Evidence]:
        if shown := self._largest[: self._params.show]:
            yield Evidence("largest keys", "\n".join(key.words() for key in shown)[:limit])


async def _measure(asker: Asker, names: list[str], samples: int) -> list[_Key]:
    """Each key's type, memory and length. A key that has gone since is left out."""
    kinds = [checked(reply) for reply in await asker.ask_all([("TYPE", name) for name in names])]
    usage: list[tuple[str, ...]] = [("MEMORY", "USAGE", name, "SAMPLES", str(samples)) for name in names]
    sizes = [checked(reply) for reply in await asker.ask_all(usage)]
    counted = [(n, LENGTH_COMMANDS[kind]) for n, kind in enumerate(kinds) if kind in LENGTH_COMMANDS]
    replies = await asker.ask_all([(command, names[n]) for n, command in counted]) if counted else []
    # one that became something else meanwhile has no length: not worth an error
    lengths = {n: int(reply) for (n, _), reply in zip(counted, replies, strict=True) if isinstance(reply, int)}
    return [
        _Key(name, kind, float(size), lengths.get(n))
        for n, (name, kind, size) in enumerate(zip(names, kinds, sizes, strict=True))
        if size is not None
    ]
