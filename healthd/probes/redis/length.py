"""How much is in a Redis list, set, sorted set, hash or stream: queues above all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit
from healthd.probes.base import MeasureInfo, Measurement, Observation, Params, ProbeContext, ProbeError
from healthd.probes.redis.address import RedisUrl
from healthd.probes.redis.client import Asker, checked, look

__all__ = ["LENGTH_COMMANDS", "RedisLengthProbe"]

LENGTH_COMMANDS = {"list": "LLEN", "set": "SCARD", "zset": "ZCARD", "hash": "HLEN", "stream": "XLEN"}
Lengths = dict[str, tuple[str, int]]  # key -> (type or "none", length)


class LengthParams(Params):
    """`key`, or `keys` (a list, or names for series: `{name: key}`). `group`: a stream's consumer group.

    `missing_key` says what a key that is not there means: `zero` (Redis deletes a list with its last element) or
    `unknown`.
    """

    url: RedisUrl
    key: str | None = None
    keys: list[str] | dict[str, str] | None = None
    group: str | None = None
    missing_key: Literal["zero", "unknown"] = "zero"

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.key) == bool(self.keys):
            raise ValueError("give either key (one) or keys (several)")
        return self

    def series(self) -> dict[str, str]:
        """Series name to key; a single key has no series name."""
        if self.key:
            return {"": self.key}
        return dict(self.keys) if isinstance(self.keys, dict) else {key: key for key in self.keys or ()}


class RedisLengthProbe:
    """Asks each key's type, then its length by the command of that type."""

    Params: ClassVar[type[Params]] = LengthParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "length": MeasureInfo(Unit.COUNT, "elements under the key (entries, members, fields)"),
        "exists": MeasureInfo(Unit.COUNT, "1 when the key is there, 0 when not"),
        "total": MeasureInfo(Unit.COUNT, "elements under all keys together"),
        "pending": MeasureInfo(Unit.COUNT, "stream entries delivered to the group and not yet acknowledged"),
    }

    def measures_for(self, params: LengthParams) -> Mapping[str, MeasureInfo] | None:
        absent = set() if params.keys else {"total"}
        absent |= set() if params.group else {"pending"}
        return {name: about for name, about in self.measures.items() if name not in absent}

    async def run(self, params: LengthParams, context: ProbeContext) -> Observation:
        keys = list(dict.fromkeys(params.series().values()))

        async def ask(asker: Asker) -> tuple[Lengths, dict[str, int]]:
            lengths = await _lengths(asker, keys)
            return lengths, await _pending(asker, lengths, params.group)

        lengths, pending = await look(context, params.url, ask)
        missing = [key for key in keys if lengths[key][0] == "none"]
        if missing and params.missing_key == "unknown":
            raise ProbeError(f"there is no key {', '.join(map(repr, missing))}", "missing")
        return Observation(tuple(_measurements(params, lengths, pending)))


async def _lengths(asker: Asker, keys: list[str]) -> Lengths:
    types = [checked(reply) for reply in await asker.ask_all([("TYPE", key) for key in keys])]
    for key, kind in zip(keys, types, strict=True):
        if kind not in LENGTH_COMMANDS and kind != "none":
            raise ProbeError(
                f"{key!r} is a {kind}, which has no length: only {', '.join(LENGTH_COMMANDS)} have", "config"
            )
    there = [(key, kind) for key, kind in zip(keys, types, strict=True) if kind != "none"]
    replies = await asker.ask_all([(LENGTH_COMMANDS[kind], key) for key, kind in there]) if there else []
    found = {key: (kind, int(checked(reply))) for (key, kind), reply in zip(there, replies, strict=True)}
    return {key: found.get(key, ("none", 0)) for key in keys}


async def _pending(asker: Asker, lengths: Lengths, group: str | None) -> dict[str, int]:
    if group is None:
        return {}
    other = next((key for key, (kind, _) in lengths.items() if kind not in ("stream", "none")), None)
    if other is not None:
        raise ProbeError(f"{other!r} is a {lengths[other][0]}: only a stream has consumer groups", "config")
    streams = [key for key, (kind, _) in lengths.items() if kind == "stream"]
    replies = await asker.ask_all([("XPENDING", key, group) for key in streams]) if streams else []
    return {key: int(checked(reply)[0]) for key, reply in zip(streams, replies, strict=True)}


def _measurements(params: LengthParams, lengths: Lengths, pending: dict[str, int]) -> list[Measurement]:
    found: list[Measurement] = []
    for series, key in params.series().items():
        kind, length = lengths[key]
        found.append(Measurement("length", float(length), Unit.COUNT, series))
        found.append(Measurement("exists", float(kind != "none"), Unit.COUNT, series))
        if params.group:
            found.append(Measurement("pending", float(pending.get(key, 0)), Unit.COUNT, series))
    if params.keys:
        found.append(Measurement("total", float(sum(length for _, length in lengths.values())), Unit.COUNT))
    return found
